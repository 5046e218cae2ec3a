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

/** What a read has brought, as chunks that are made once: reads of equal length are the same bytes. A power of two. */
const CHUNKS = 256
const chunks: Buffer[] = Array.from({ length: CHUNKS }, () => buffer)

/** The first `size` bytes of the read buffer. */
export function readChunk(size: number): Buffer {
  const known = chunks[size & (CHUNKS - 1)]!
  return known.length === size ? known : (chunks[size & (CHUNKS - 1)] = buffer.subarray(0, size))
}

/** A buffer with the chunk's bytes that stays valid. */
export function keep(chunk: Buffer): Buffer {
  return chunk.buffer === buffer.buffer ? Buffer.from(chunk) : chunk
}
