// proxy_upload_rate and proxy_download_rate: who sends is not read for as long as what it has sent may take. A read brings
// more than may go on at once: the rest waits here, and nothing else is read meanwhile.

import type { Connection } from '../../net/connection.ts'
import { keep } from '../../net/read-buffer.ts'

const NOTHING = Buffer.alloc(0)

/** Whose reading is held back. */
export interface Throttled {
  readonly connection: Connection
  /** Sends a piece on. */
  pass(piece: Buffer, volatile: boolean): void
  /** It may go on: with goOn() where something is held, by reading where not. */
  resume(): void
}

export class Throttle {
  private readonly rate: number
  private readonly pieceSize: number
  private readonly of: Throttled
  private readonly startedAt = performance.now()
  private bytes = 0
  private held: Buffer = NOTHING
  private timer: NodeJS.Timeout | null = null

  /** @param rate bytes a second
   *  @param pieceSize bytes that go on at once, at most (proxy_buffer_size) */
  constructor(rate: number, pieceSize: number, of: Throttled) {
    this.rate = rate
    this.pieceSize = pieceSize
    this.of = of
  }

  /** Is the connection held back at present? */
  get waits(): boolean {
    return this.timer !== null
  }

  /** Bytes read that have not gone on. */
  get heldBytes(): number {
    return this.held.length
  }

  /** @param chunk `volatile`: valid only during the call */
  read(chunk: Buffer, volatile: boolean): void {
    if (this.timer !== null) {
      this.held = Buffer.concat([this.held, chunk])
      return
    }
    let rest = chunk
    while (rest.length > 0) {
      const allowed = this.allowed()
      const piece = rest.subarray(0, Math.max(0, Math.min(allowed, this.pieceSize)))
      rest = rest.subarray(piece.length)
      this.bytes += piece.length
      if (piece.length > 0) this.of.pass(piece, volatile)
      const wait = piece.length > 0 ? (piece.length * 1000) / this.rate : (-allowed * 1000) / this.rate + 1
      if (wait < 1) continue
      this.held = volatile ? keep(rest) : rest
      this.wait(wait)
      return
    }
  }

  /** What may have gone on in the seconds begun by now, less what has. */
  private allowed(): number {
    const seconds = Math.floor((performance.now() - this.startedAt) / 1000)
    return this.rate * (seconds + 1) - this.bytes
  }

  private wait(ms: number): void {
    this.of.connection.pause()
    this.timer = setTimeout(() => {
      this.timer = null
      this.of.resume()
    }, ms)
  }

  goOn(): void {
    const { held } = this
    this.held = NOTHING
    this.read(held, false)
    if (this.timer === null) this.of.resume()
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.held = NOTHING
  }
}
