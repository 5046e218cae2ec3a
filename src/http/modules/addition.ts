// add_before_body, add_after_body: what other locations of ours answer, around a response's body
// (ngx_http_addition_filter_module).

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { str } from '../../config/values.ts'
import { reshape } from '../altered-body.ts'
import { httpModule } from '../module.ts'
import { BodyStage, EMPTY, LAST } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { InsertedOutput, PostponedBody, type PartsOwner } from '../postponed.ts'
import { makeSubrequest } from '../subrequest.ts'
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
  return r.bodiless ? null : new AdditionStage(r, conf)
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
    this.body.insert(output)
    this.body.start(sub)
  }

  override destroy(_r: HttpRequest): void {
    this.body.destroy()
  }
}

function ignore(): void {}
