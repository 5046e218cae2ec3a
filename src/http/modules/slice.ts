// slice: a big response is asked of the upstream in parts of one size, `Range: $slice_range`, so that each can be cached by
// itself; the client gets them as one response, or the range of it that it wants (ngx_http_slice_filter_module).
//
// The request itself asks for the part that its own range begins in; subrequests to the same place ask for those that
// follow, one after the other. The location's other filters see the whole, not the parts.

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { size } from '../../config/values.ts'
import { ERR } from '../../log/error-log.ts'
import { dropField } from '../altered-body.ts'
import { fileSending } from '../files/send-file.ts'
import { httpModule, LocationSlot, Slot } from '../module.ts'
import { checkPreconditions, hasConditions } from '../not-modified.ts'
import { becomeNotModified, BodyStage, EMPTY, LAST } from '../output.ts'
import { parseContentRange, type ByteRange, type RangePlan, type RangeTaker } from '../range.ts'
import type { HttpRequest } from '../request.ts'
import type { LocationRuntime } from '../runtime.ts'
import { upstreamSlot } from '../upstream/exchange.ts'
import { cloneSubrequest, startSubrequest, SubrequestOutput } from '../subrequest.ts'

const directives = {
  slice: size(HTTP | SERVER | LOCATION, 0),
}

const sizes = new LocationSlot<number>()
const rangeLimits = new LocationSlot<number>()
const slicings = new Slot<Slicing>()

/** What a request and its subrequests know of the parts. */
interface Slicing {
  readonly size: number
  /** Where the part begins that is to come. */
  start: number
  /** Of the first part; the others must have the same. '' for none. */
  etag: string
  /** Has the part's head been found to be right? */
  isRight: boolean
}

export const slice = httpModule({
  name: 'slice',
  directives,
  variables: { slice_range: { get: sliceRange } },
  compile({ slice }, at) {
    if (slice === 0) return
    at.keep(sizes, slice)
    at.keep(rangeLimits, fileSending(at).maxRanges)
    at.filter(takeHead, slice)
  },
})

/** Who asks for it makes the request one of parts. */
function sliceRange(r: HttpRequest): string | null {
  let slicing = slicings.get(r)
  if (slicing === null) {
    const size = sizes.get(r)
    if (size === null || r.parent !== null || r.status !== 0) return null
    slicing = { size, start: size * Math.floor(firstByte(r) / size), etag: '', isRight: false }
    slicings.set(r, slicing)
  }
  return `bytes=${slicing.start}-${slicing.start + slicing.size - 1}`
}

/** Where the range begins that the client wants; 0 where that is not said, or more than one is wanted. */
function firstByte(r: HttpRequest): number {
  const range = r.header('range')
  if (range === null || r.header('if-range') !== null) return 0
  const digits = /^bytes= *(\d+)[^,]*$/i.exec(range)
  const first = digits === null ? 0 : Number(digits[1])
  return Number.isSafeInteger(first) ? first : 0
}

function takeHead(r: HttpRequest): BodyStage | null {
  const slicing = slicings.get(r)
  if (slicing === null) return null
  if (r.status !== 206) {
    if (r.parent !== null) refuse(r, `unexpected status code ${r.status} in slice response`)
    // The upstream knows no ranges, or has none of what was asked for: its answer goes on as it is.
    slicings.set(r, null)
    return null
  }
  if (!checkPart(r, slicing)) return null
  return r.parent === null ? begin(r, slicing) : null
}

function refuse(r: HttpRequest, problem: string): false {
  r.log(ERR, problem)
  // It is we who leave, not the client.
  upstreamSlot.get(r)?.letGo()
  r.stream.abort(r)
  return false
}

/** Is it the part that was asked for, and of the same thing? Then the head becomes that of the whole. */
function checkPart(r: HttpRequest, slicing: Slicing): boolean {
  if (slicing.etag !== '' && r.etag !== slicing.etag) return refuse(r, 'etag mismatch in slice response')
  slicing.etag = r.etag
  const range = parseContentRange(r.responseHeader('content-range') ?? '')
  if (range === null) return refuse(r, 'invalid range in slice response')
  const { start, end, length } = range
  if (length < 0) return refuse(r, 'no complete length in slice response')
  const expected = Math.min(start + slicing.size, length)
  if (start !== slicing.start || end !== expected) {
    const wanted = `${slicing.start}-${expected}`
    return refuse(r, `unexpected range in slice response: ${start}-${end}, expected: ${wanted}`)
  }
  slicing.start = end
  slicing.isRight = true
  r.status = 200
  r.statusLine = ''
  r.contentLength = length
  dropField(r, 'content-range')
  dropField(r, 'accept-ranges')
  return true
}

function begin(r: HttpRequest, slicing: Slicing): BodyStage | null {
  // What holds for a whole could not be asked of a part.
  if (r.conditional !== null && r.errorStatus === 0 && hasConditions(r)) {
    const status = checkPreconditions(r, r.conditional)
    if (status !== 0) return withoutBody(r, status)
  }
  // Which range it is going to be is weighed when all filters have seen the head.
  r.rangesMax = Math.min(1, rangeLimits.get(r) ?? 1)
  const stage = new SliceStage(r, slicing, r.contentLength)
  r.rangeTaker = stage
  return r.method === 'HEAD' ? null : stage
}

function withoutBody(r: HttpRequest, status: number): null {
  slicings.set(r, null)
  if (status === 412) r.errorStatus = 412
  else {
    becomeNotModified(r)
    r.bodiless = true
  }
  return null
}

class SliceStage extends BodyStage implements RangeTaker {
  private readonly r: HttpRequest
  private readonly slicing: Slicing
  private range: ByteRange | null = null
  /** What the client is to get; not known before the first byte comes. */
  private start = -1
  private end: number
  /** Of the byte that comes next. */
  private position: number
  private sub: HttpRequest | null = null
  private isRunning = false
  private readonly onEnd: (sub: HttpRequest) => void

  constructor(r: HttpRequest, slicing: Slicing, length: number) {
    super()
    this.r = r
    this.slicing = slicing
    this.end = length
    this.position = slicing.size * Math.max(0, Math.ceil(slicing.start / slicing.size) - 1)
    this.onEnd = sub => this.partOver(sub)
  }

  takeRange({ ranges }: RangePlan): void {
    this.range = ranges[0]!
  }

  private choose(): void {
    const { slicing, position, range } = this
    this.start = range?.start ?? 0
    this.end = range?.end ?? this.end
    // The range may have turned out to be another one than what the first part was asked for.
    if (this.start >= position && this.start < slicing.start) return
    slicing.start = slicing.size * Math.floor(this.start / slicing.size)
    if (this.start < position) this.position = Infinity
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    const ready = this.pass(bytes, flags & ~LAST)
    if ((flags & LAST) !== 0) this.askForNext(r)
    return ready
  }

  override writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    const wanted = this.crop(chunk)
    const ready = wanted.length === 0 || this.next!.writeVolatile(r, wanted, flags & ~LAST)
    if ((flags & LAST) !== 0) this.askForNext(r)
    return ready
  }

  override drain(r: HttpRequest): void {
    if (this.sub !== null) this.sub.stream.writer.drain(this.sub)
    else super.drain(r)
  }

  override destroy(_r: HttpRequest): void {
    this.sub = null
  }

  pass(bytes: Buffer, flags: number): boolean {
    const wanted = this.crop(bytes)
    return (wanted.length === 0 && flags === 0) || this.next!.write(this.r, wanted, flags)
  }

  /** As much of it as lies in what the client is to get. */
  private crop(bytes: Buffer): Buffer {
    if (this.start < 0) this.choose()
    const { position } = this
    this.position += bytes.length
    const from = Math.max(0, this.start - position)
    const to = Math.min(bytes.length, this.end - position)
    if (from === 0 && to === bytes.length) return bytes
    return from < to ? bytes.subarray(from, to) : EMPTY
  }

  /** Parts that are there at once (in a cache) follow each other in a loop. */
  private askForNext(r: HttpRequest): void {
    if (this.isRunning) return
    this.isRunning = true
    while (!r.done && this.slicing.start < this.end) {
      const sub = this.makePart(r)
      if (sub === null) {
        r.stream.abort(r)
        break
      }
      this.sub = sub
      if (!startSubrequest(sub)) break
      this.check(sub)
    }
    this.isRunning = false
    if (this.sub !== null || r.done) return
    slicings.set(r, null)
    this.next!.write(r, EMPTY, LAST)
  }

  private makePart(r: HttpRequest): HttpRequest | null {
    const sub = cloneSubrequest(r, partLocation(r.location), new PartOutput(this, r, this.onEnd))
    if (sub === null) return null
    this.position = this.slicing.start
    this.slicing.isRight = false
    slicings.set(sub, this.slicing)
    return sub
  }

  private partOver(sub: HttpRequest): void {
    this.check(sub)
    if (!this.r.done) this.askForNext(this.r)
  }

  private check(sub: HttpRequest): void {
    this.sub = null
    if (this.slicing.isRight && !(sub.stream as PartOutput).aborted) return
    if (!this.slicing.isRight && !(sub.stream as PartOutput).aborted) this.r.log(ERR, 'missing slice response')
    this.r.stream.abort(this.r)
  }
}

class PartOutput extends SubrequestOutput {
  private readonly stage: SliceStage
  constructor(stage: SliceStage, parent: HttpRequest, done: (sub: HttpRequest) => void) {
    super(parent, done)
    this.stage = stage
  }
  protected take(_r: HttpRequest, bytes: Buffer): boolean {
    return this.stage.pass(bytes, 0)
  }
}

const partLocations = new WeakMap<LocationRuntime, LocationRuntime>()

/** The location as the parts see it: without filters but the one that checks their heads. */
function partLocation(location: LocationRuntime): LocationRuntime {
  let reduced = partLocations.get(location)
  if (reduced === undefined) {
    reduced = { ...location, filters: location.filters.filter(({ run }) => run === takeHead) }
    partLocations.set(location, reduced)
  }
  return reduced
}
