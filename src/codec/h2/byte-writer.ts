// A buffer that bytes are appended to. It grows; whoever owns it decides when it is emptied or given away.

/** write(text, 'latin1') does the same after looking at its arguments. */
type Latin1Buffer = Buffer & { latin1Write(text: string, at: number): number }

export class ByteWriter {
  bytes: Buffer
  length = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
  }

  /** Makes room for that many more bytes. */
  reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + size))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }

  /** Appends latin1 text. */
  text(text: string): void {
    this.reserve(text.length)
    ;(this.bytes as Latin1Buffer).latin1Write(text, this.length)
    this.length += text.length
  }

  append(from: Uint8Array, start: number, end: number): void {
    const size = end - start
    this.reserve(size)
    const { bytes } = this
    let at = this.length
    this.length += size
    // Short pieces are copied faster by hand than by a call.
    if (size < 24) for (let i = start; i < end; i++) bytes[at++] = from[i]!
    else if (start === 0 && end === from.length) bytes.set(from, at)
    else bytes.set(from.subarray(start, end), at)
  }
}

const SIZE = 32768
const SPARE_MAX = 8
const spare: ByteWriter[] = []

/** An empty writer. */
export function takeWriter(): ByteWriter {
  return spare.pop() ?? new ByteWriter(SIZE)
}

/** Nobody reads the writer's bytes any more. */
export function returnWriter(writer: ByteWriter): void {
  writer.length = 0
  if (spare.length < SPARE_MAX && writer.bytes.length <= SIZE * 8) spare.push(writer)
}
