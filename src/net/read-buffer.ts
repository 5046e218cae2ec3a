// The one buffer a thread reads into. Sockets share it, because a read is handled before the next one happens: an idle
// connection owns no memory for reading. A chunk is therefore valid only during the call that brings it; what must live
// longer is kept.

/** Bytes taken from the kernel by one read. */
export const READ_SIZE = 65536
/** Below this, copying a chunk is cheaper than giving the whole buffer away. */
const COPY_MAX = 8192

let current = Buffer.allocUnsafeSlow(READ_SIZE)

/** The buffer the next read goes to. */
export function readBuffer(): Buffer {
  return current
}

/** A buffer with the chunk's bytes that stays valid: a copy, or the read buffer itself, which is then replaced. */
export function keep(chunk: Buffer): Buffer {
  if (chunk.buffer !== current.buffer) return chunk
  if (chunk.length <= COPY_MAX) return Buffer.from(chunk)
  current = Buffer.allocUnsafeSlow(READ_SIZE)
  return chunk
}

/** As keep(), for memory the kernel's write queue already points to: it cannot be copied any more. */
export function surrender(chunk: Buffer): void {
  if (chunk.buffer === current.buffer) current = Buffer.allocUnsafeSlow(READ_SIZE)
}
