// proxy_force_ranges and its relatives: a part of a response that an upstream has given as a whole is cut out of it as it
// passes. One range only: several would need the bytes more than once.

import { dropField } from '../altered-body.ts'
import type { ByteRange } from '../range.ts'
import { BodyStage, EMPTY, LAST } from '../output.ts'
import type { HttpRequest } from '../request.ts'

/** Has the range that is asked for weighed, unless the response is not one to be cut. `max`: what max_ranges says. */
export function forceRanges(r: HttpRequest, max: number): void {
  dropField(r, 'accept-ranges')
  if (r.status !== 200 || r.contentLength < 0) return
  r.rangesMax = Math.min(1, max)
}

/** Sits closest to the source. */
export class RangeStage extends BodyStage {
  private readonly range: ByteRange
  private at = 0
  private over = false

  constructor(range: ByteRange) {
    super()
    this.range = range
  }

  /** Takes its place once the head has gone. */
  enter(r: HttpRequest): void {
    this.next = r.out
    r.out.previous = this
    r.out = this
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    return this.over || this.next!.write(r, this.within(bytes), this.flagsFor(flags))
  }

  override writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    return this.over || this.next!.writeVolatile(r, this.within(chunk), this.flagsFor(flags))
  }

  private within(bytes: Buffer): Buffer {
    const { start, end } = this.range
    const from = Math.min(Math.max(start - this.at, 0), bytes.length)
    const to = Math.min(Math.max(end - this.at, 0), bytes.length)
    this.at += bytes.length
    return from === 0 && to === bytes.length ? bytes : from < to ? bytes.subarray(from, to) : EMPTY
  }

  /** The client need not wait for what it does not get. */
  private flagsFor(flags: number): number {
    this.over = this.at >= this.range.end || (flags & LAST) !== 0
    return this.over ? flags | LAST : flags
  }
}
