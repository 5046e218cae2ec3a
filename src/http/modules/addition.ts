// add_before_body, add_after_body: what other locations of ours answer, around a response's body
// (ngx_http_addition_filter_module).

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { str } from '../../config/values.ts'
import { reshape } from '../altered-body.ts'
import { httpModule } from '../module.ts'
import { BodyStage, EMPTY, LAST } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { makeSubrequest, startSubrequest, SubrequestOutput, type SubrequestDone } from '../subrequest.ts'
import { isListed, typeList, type TypeList } from '../type-list.ts'

const everywhere = HTTP | SERVER | LOCATION

const directives = {
  add_before_body: str(everywhere, ''),
  add_after_body: str(everywhere, ''),
  addition_types: typeList(everywhere, ['text/html']),
}

interface AdditionConf {
  /** '' for none. */
  readonly before: string
  readonly after: string
  readonly types: TypeList
}

export const addition = httpModule({
  name: 'addition',
  directives,
  compile(conf, at) {
    const own: AdditionConf = {
      before: conf.add_before_body,
      after: conf.add_after_body,
      types: conf.addition_types,
    }
    if (own.before !== '' || own.after !== '') at.filter(add, own, isMeant)
  },
})

function isMeant(r: HttpRequest, { types }: AdditionConf): boolean {
  if (r.status !== 200 || r.parent !== null) return false
  return types === null || (r.contentType !== '' && isListed(types, r.contentType))
}

function add(r: HttpRequest, conf: AdditionConf): BodyStage | null {
  if (!isMeant(r, conf)) return null
  reshape(r)
  return r.bodiless ? null : new AdditionStage(conf)
}

const UNTOUCHED = 0
const BEFORE = 1
const BODY = 2
const AFTER = 3

/** Holds the body back while what stands before it comes, and its end until what stands behind it has come. */
class AdditionStage extends BodyStage {
  private readonly conf: AdditionConf
  private state = UNTOUCHED
  /** The subrequest that is writing. */
  private sub: HttpRequest | null = null
  private held: Buffer = EMPTY
  private heldFlags = 0

  constructor(conf: AdditionConf) {
    super()
    this.conf = conf
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    if (this.state === UNTOUCHED) {
      this.state = BEFORE
      if (this.conf.before === '' || this.begin(r, this.conf.before)) this.state = BODY
    }
    if (r.done) return false
    if (this.state === BODY) return this.pass(r, bytes, flags)
    this.held = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes])
    this.heldFlags |= flags
    return false
  }

  override drain(r: HttpRequest): void {
    if (this.sub !== null) this.sub.stream.writer.drain(this.sub)
    else if (this.state === BODY) super.drain(r)
  }

  private pass(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    if ((flags & LAST) === 0 || this.conf.after === '') return this.next!.write(r, bytes, flags)
    if (bytes.length > 0) this.next!.write(r, bytes, 0)
    this.state = AFTER
    return !r.done && this.begin(r, this.conf.after) && this.next!.write(r, EMPTY, LAST)
  }

  /** True: it is over already. */
  private begin(r: HttpRequest, uri: string): boolean {
    const sub = makeSubrequest(r, uri, '', new InsertedOutput(r, this.next!, () => this.goOn(r)))
    if (sub === null) {
      r.stream.abort(r)
      return false
    }
    this.sub = sub
    if (!startSubrequest(sub)) return false
    this.sub = null
    return true
  }

  private goOn(r: HttpRequest): void {
    this.sub = null
    if (r.done) return
    if (this.state === AFTER) {
      this.next!.write(r, EMPTY, LAST)
      return
    }
    this.state = BODY
    const { held, heldFlags } = this
    this.held = EMPTY
    if (this.pass(r, held, heldFlags) && !r.done) super.drain(r)
  }

  override destroy(_r: HttpRequest): void {
    this.held = EMPTY
    this.sub = null
  }
}

/** A subrequest's body into its parent's. */
class InsertedOutput extends SubrequestOutput {
  private readonly parent: HttpRequest
  private readonly into: BodyStage

  constructor(parent: HttpRequest, into: BodyStage, done: SubrequestDone) {
    super(parent, done)
    this.parent = parent
    this.into = into
  }

  protected take(_r: HttpRequest, bytes: Buffer): boolean {
    return this.into.write(this.parent, bytes, 0)
  }
}
