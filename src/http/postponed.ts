// A body made of a request's own bytes and of what its subrequests answer, in the order in which they were put there,
// whatever the order in which they come (ngx_http_postpone_filter). Subrequests run at the same time; the first one writes
// through, the others are held back at their first piece.
//
//   own bytes │ subrequest (writes through) │ own bytes, held │ subrequest, held back │ …   ──▶ the owner's next stage

import { EMPTY, LAST, sendHead, type BodyStage } from './output.ts'
import type { HttpRequest } from './request.ts'
import { startSubrequest, SubrequestOutput } from './subrequest.ts'

/** Parts that may wait, and bytes that may wait in them, before the source is held. */
const PARTS_MAX = 128
const HELD_MAX = 128 * 1024
/** Up to here pieces that come at once are sent at once. */
const GATHERED_MAX = 16 * 1024

/** The stage whose body it is. */
export interface PartsOwner extends BodyStage {
  /** A subrequest is over, or the client can take more: there may be room again. */
  partsMoved(r: HttpRequest): void
}

export class PostponedBody {
  readonly r: HttpRequest
  private readonly owner: PartsOwner
  private parts: (Buffer | InsertedOutput)[] = []
  private first = 0
  private heldBytes = 0
  private clientReady = true
  private isAdvancing = false
  private isEnding = false
  private isCorked = false
  private gathered: Buffer[] = []
  private gatheredBytes = 0
  private gatheredFlags = 0

  constructor(r: HttpRequest, owner: PartsOwner) {
    this.r = r
    this.owner = owner
  }

  get isEmpty(): boolean {
    return this.first === this.parts.length
  }

  /** Must what comes next wait at its source? */
  get isFull(): boolean {
    return !this.clientReady || this.parts.length - this.first >= PARTS_MAX || this.heldBytes >= HELD_MAX
  }

  /** Bytes of the request's own; they must stay unchanged. */
  write(bytes: Buffer, flags: number): void {
    if (this.isEmpty && !this.isAdvancing) {
      if (bytes.length > 0 || flags !== 0) this.send(bytes, flags)
      return
    }
    if (bytes.length > 0) {
      this.parts.push(bytes)
      this.heldBytes += bytes.length
    }
    if ((flags & LAST) !== 0) this.isEnding = true
  }

  /** A place for what a subrequest with that output is going to answer. */
  insert(output: InsertedOutput): void {
    this.parts.push(output)
  }

  /** What a subrequest whose turn it is has to say. */
  pass(bytes: Buffer): boolean {
    return this.send(bytes, 0)
  }

  private send(bytes: Buffer, flags: number): boolean {
    if (this.r.done) return false
    if (!this.isCorked) {
      this.clientReady = this.owner.next!.write(this.r, bytes, flags)
      return this.clientReady
    }
    if (bytes.length > 0) this.gathered.push(bytes)
    this.gatheredBytes += bytes.length
    this.gatheredFlags |= flags
    if (this.gatheredBytes >= GATHERED_MAX) this.sendGathered()
    return this.clientReady
  }

  /** From here on small pieces are gathered, until uncork(). */
  cork(): void {
    this.isCorked = true
  }

  uncork(): void {
    this.isCorked = false
    if (this.gatheredBytes > 0 || this.gatheredFlags !== 0) this.sendGathered()
  }

  private sendGathered(): void {
    const { gathered, gatheredFlags } = this
    this.gathered = []
    this.gatheredBytes = 0
    this.gatheredFlags = 0
    if (this.r.done) return
    const bytes = gathered.length === 1 ? gathered[0]! : Buffer.concat(gathered)
    this.clientReady = this.owner.next!.write(this.r, bytes, gatheredFlags)
  }

  over(output: InsertedOutput): void {
    if (this.r.done) return
    if (this.parts[this.first] === output) this.advance()
    this.owner.partsMoved(this.r)
  }

  drain(): void {
    this.clientReady = true
    this.advance()
    if (!this.r.done) this.owner.partsMoved(this.r)
  }

  destroy(): void {
    this.parts = []
    this.gathered = []
    this.first = 0
    this.heldBytes = 0
  }

  private advance(): void {
    if (this.isAdvancing) return
    this.isAdvancing = true
    while (this.clientReady && !this.isEmpty && !this.r.done) {
      const part = this.parts[this.first]!
      if (part instanceof InsertedOutput) {
        if (!part.takeTurn()) break
        this.shift()
      } else {
        this.shift()
        this.heldBytes -= part.length
        this.pass(part)
      }
    }
    this.isAdvancing = false
    if (!this.isEmpty || !this.isEnding || this.r.done) return
    this.isEnding = false
    this.send(EMPTY, LAST)
  }

  private shift(): void {
    this.parts[this.first++] = EMPTY
    if (this.first < this.parts.length) return
    this.parts = []
    this.first = 0
  }

  /** Starts a subrequest whose place is in the body already. */
  start(sub: HttpRequest): void {
    const output = sub.stream as InsertedOutput
    if (this.parts[this.first] === output) output.takeTurn()
    if (startSubrequest(sub)) this.over(output.finished())
  }
}

/** A subrequest's body into its place in its parent's. */
export class InsertedOutput extends SubrequestOutput {
  private readonly body: PostponedBody
  /** What stands in when the subrequest has nothing to say or fails; null: nothing does. */
  private stub: Buffer | null
  private sub: HttpRequest | null = null
  private hasTurn = false
  private held: Buffer[] = []
  private isHeld = false
  private isOver = false
  private wasEmpty = true

  constructor(body: PostponedBody, stub: Buffer | null, done: (sub: HttpRequest) => void) {
    super(body.r, sub => {
      body.over(this.finished())
      done(sub)
    })
    this.body = body
    this.stub = stub
  }

  finished(): this {
    this.isOver = true
    return this
  }

  protected take(r: HttpRequest, bytes: Buffer): boolean {
    this.wasEmpty = false
    this.sub = r
    if (this.hasTurn && this.held.length === 0) this.isHeld = !this.body.pass(bytes)
    else {
      this.held.push(bytes)
      this.isHeld = true
    }
    return !this.isHeld
  }

  /** It is the first now: what it has, and what it is going to have, goes to the client. True: that is all. */
  takeTurn(): boolean {
    this.hasTurn = true
    let ready = true
    while (this.held.length > 0) {
      const piece = this.held.shift()!
      ready = this.body.pass(piece)
    }
    if (this.isOver) return true
    if (ready && this.isHeld) {
      this.isHeld = false
      this.drain(this.sub!)
    }
    return this.isOver
  }

  override insteadOfError(r: HttpRequest): boolean {
    return this.useStub(r)
  }

  override write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    if ((flags & LAST) === 0 || bytes.length > 0 || this.stub === null || !this.wasEmpty || r.done)
      return super.write(r, bytes, flags)
    // Filters have let a body pass that was to be empty, and see nothing of what comes instead.
    if (r.contentLength !== 0) return this.useStub(r)
    const { stub } = this
    this.stub = null
    return super.write(r, stub, flags)
  }

  /** The stub goes through the filters of the subrequest's location, as its own body would have gone. */
  private useStub(r: HttpRequest): boolean {
    const { stub } = this
    if (stub === null || !this.wasEmpty) return false
    this.stub = null
    r.headSent = false
    r.out = this
    r.status = 200
    r.contentType = r.parent!.contentType
    r.contentLength = -1
    sendHead(r)
    r.out.write(r, stub, LAST)
    return true
  }
}
