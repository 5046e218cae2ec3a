// A request body that is not collected first: what the client sends goes on as it comes, and the client is held back while
// whoever takes it takes no more. It stands in for the request's own body.

import { respondSpecial } from '../output.ts'
import { logTooLarge, RequestBody } from '../request-body.ts'
import type { HttpRequest } from '../request.ts'

/** Bytes held while nobody is there to take them; more than one read brings. */
const WAITING_MAX = 131_072

export abstract class UnbufferedBody extends RequestBody {
  protected readonly r: HttpRequest
  protected waiting: Buffer[] = []
  protected waitingBytes = 0
  /** The client is not read from. */
  protected held = false

  constructor(r: HttpRequest, declared: number) {
    super(declared)
    this.r = r
    this.wanted = true
  }

  override feed(r: HttpRequest, chunk: Buffer): boolean {
    const limit = r.location.clientMaxBodySize
    if (limit !== 0 && this.length + chunk.length > limit) {
      logTooLarge(r, this.length, chunk.length)
      this.length += chunk.length
      this.abandon()
      respondSpecial(r, 413)
      return false
    }
    this.length += chunk.length
    this.take(chunk)
    return true
  }

  /** Bytes from the client, which are valid during the call alone. */
  protected abstract take(chunk: Buffer): void

  /** It is too large: nobody gets more of it. */
  protected abstract abandon(): void

  /** The bytes are ours. */
  protected wait(bytes: Buffer): void {
    this.waiting.push(bytes)
    this.waitingBytes += bytes.length
  }

  protected get isFull(): boolean {
    return this.waitingBytes >= WAITING_MAX
  }

  protected hold(): void {
    this.held = true
    this.r.stream.readBody(false)
  }

  protected letOn(): void {
    if (!this.held) return
    this.held = false
    this.r.stream.readBody(true)
  }

  /** What has gone is gone: whoever answers instead cannot have the body. */
  override isRefused(): boolean {
    return super.isRefused() || !this.complete
  }
}
