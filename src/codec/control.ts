// Messages of the control interface, as Gunicorn's server and `gunicornc` exchange them: a length of four bytes, big endian, and
// so many bytes of JSON, always an object. No sockets here.

/** The longest that either end may send, as with Gunicorn. */
export const MESSAGE_MAX = 16 * 1024 * 1024

const HEAD = 4

export type Message = Readonly<Record<string, unknown>>

export interface ControlRequest extends Message {
  readonly id: number
  readonly command: string
  readonly args: readonly string[]
}

export function encodeMessage(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message), 'utf8')
  const head = Buffer.alloc(HEAD)
  head.writeUInt32BE(text.length)
  return Buffer.concat([head, text])
}

/** Takes bytes as they come. Once something is wrong, nothing more is read. */
export class MessageReader {
  /** What is wrong; '' for nothing. */
  problem = ''
  private readonly max: number
  private readonly decoder = new TextDecoder('utf-8', { fatal: true })
  private readonly pieces: Buffer[] = []
  /** Bytes in all pieces. */
  private held = 0
  /** Of the message that has begun; -1 before that is known. */
  private length = -1

  /** @param max bytes of a message's JSON */
  constructor(max: number) {
    this.max = max
  }

  /** Has a message begun that is not whole? */
  get isWithin(): boolean {
    return this.held > 0 || this.length >= 0
  }

  push(bytes: Buffer): void {
    if (this.problem !== '' || bytes.length === 0) return
    this.pieces.push(bytes)
    this.held += bytes.length
  }

  /** The next message that is whole; null: there is none. */
  next(): Message | null {
    if (this.problem !== '' || !this.knowsLength() || this.held < this.length) return null
    const text = this.take(this.length)
    this.length = -1
    try {
      const value: unknown = JSON.parse(this.decoder.decode(text))
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Message
      return this.fail('a message is no object')
    } catch {
      return this.fail('a message is no JSON')
    }
  }

  private knowsLength(): boolean {
    if (this.length >= 0) return true
    if (this.held < HEAD) return false
    const length = this.take(HEAD).readUInt32BE()
    if (length > this.max) {
      this.fail(`a message of ${length} bytes is longer than ${this.max}`)
      return false
    }
    this.length = length
    return true
  }

  private take(count: number): Buffer {
    const all = this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces, this.held)
    this.pieces.length = 0
    this.held -= count
    if (this.held > 0) this.pieces.push(all.subarray(count))
    return all.subarray(0, count)
  }

  private fail(problem: string): null {
    this.problem = problem
    this.pieces.length = 0
    this.held = 0
    return null
  }
}
