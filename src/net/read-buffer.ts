// The one buffer a thread reads into. Sockets share it, because a read is handled before the next one happens: an idle
// connection owns no memory for reading. A chunk is therefore valid only during the call that brings it; what must live
// longer is copied. (It cannot be given away either: every socket that waits for its next read has been told where to put it.)

/** Bytes taken from the kernel by one read. */
export const READ_SIZE = 65536

const buffer = Buffer.allocUnsafeSlow(READ_SIZE)

/** Where every read goes to. */
export function readBuffer(): Buffer {
  return buffer
}

/** A buffer with the chunk's bytes that stays valid. */
export function keep(chunk: Buffer): Buffer {
  return chunk.buffer === buffer.buffer ? Buffer.from(chunk) : chunk
}
