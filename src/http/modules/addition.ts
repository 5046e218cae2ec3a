// add_before_body, add_after_body: what other locations of ours answer, around a response's body
// (ngx_http_addition_filter_module).

import { HTTP, LOCATION, SERVER, type Conf } from '../../config/directive.ts'
import { str } from '../../config/values.ts'
import { reshape } from '../altered-body.ts'
import { httpModule } from '../module.ts'
import { BodyStage, EMPTY, LAST } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { InsertedOutput, PostponedBody, type PartsOwner } from '../postponed.ts'
import { makeSubrequest, shareBody } from '../subrequest.ts'
import { isListed, typeList, type TypeList } from '../filters/type-list.ts'

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
    const own = additionConf(conf)
    if (own !== null) at.filter(announce, own, isMeant)
  },
})

/** The other end of it, behind the filters that work on the response's own body: those of the added parts have done with
 *  them (ngx_http_postpone_filter's place). */
export const addedParts = httpModule({
  name: 'added-parts',
  directives: {},
  compile(_conf, at) {
    const own = additionConf(at.scope.conf(directives))
    if (own !== null) at.filter(add, own)
  },
})

function additionConf(conf: Conf<typeof directives>): AdditionConf | null {
  const { add_before_body: before, add_after_body: after, addition_types: types } = conf
  return before === '' && after === '' ? null : { before, after, types }
}

function isMeant(r: HttpRequest, { types }: AdditionConf): boolean {
  if (r.status !== 200 || r.parent !== null) return false
  return types === null || (r.contentType !== '' && isListed(types, r.contentType))
}

/** Before the others see the head: what they make of it depends on its being another one. */
function announce(r: HttpRequest, conf: AdditionConf): null {
  if (isMeant(r, conf)) reshape(r)
  return null
}

function add(r: HttpRequest, conf: AdditionConf): BodyStage | null {
  return isMeant(r, conf) && !r.bodiless ? new AdditionStage(r, conf) : null
}

class AdditionStage extends BodyStage implements PartsOwner {
  private readonly conf: AdditionConf
  private readonly body: PostponedBody
  private isBegun = false
  private isHeld = false

  constructor(r: HttpRequest, conf: AdditionConf) {
    super()
    this.conf = conf
    this.body = new PostponedBody(r, this)
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    if (!this.isBegun) {
      this.isBegun = true
      if (this.conf.before !== '') this.add(r, this.conf.before)
    }
    if (r.done) return false
    if ((flags & LAST) === 0 || this.conf.after === '') this.body.write(bytes, flags)
    else {
      this.body.write(bytes, 0)
      this.add(r, this.conf.after)
      if (!r.done) this.body.write(EMPTY, LAST)
    }
    this.isHeld = this.body.isFull
    return !this.isHeld
  }

  override drain(_r: HttpRequest): void {
    this.body.drain()
  }

  partsMoved(r: HttpRequest): void {
    if (!this.isHeld || this.body.isFull) return
    this.isHeld = false
    super.drain(r)
  }

  private add(r: HttpRequest, uri: string): void {
    const output = new InsertedOutput(this.body, null, ignore)
    const sub = makeSubrequest(r, uri, '', output)
    if (sub === null) {
      r.stream.abort(r)
      return
    }
    shareBody(r, sub)
    this.body.insert(output)
    this.body.start(sub)
  }

  override destroy(_r: HttpRequest): void {
    this.body.destroy()
  }
}

function ignore(): void {}
