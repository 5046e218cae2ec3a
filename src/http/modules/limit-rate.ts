// limit_rate and limit_rate_after: how fast a response leaves (ngx_http_write_filter_module).

import {
  HTTP,
  IF_IN_LOCATION,
  LOCATION,
  SERVER,
  type Directive,
  type Scope,
  type Statement,
} from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { one } from '../../config/values.ts'
import { parseSize } from '../../config/units.ts'
import { monotonic } from '../../lib/clock.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { ERR } from '../../log/error-log.ts'
import { rateOf, setRate } from '../access/limit-rate.ts'
import { httpModule, type Value } from '../module.ts'
import { BodyStage, EMPTY } from '../output.ts'
import type { HttpRequest } from '../request.ts'

const everywhere = HTTP | SERVER | LOCATION | IF_IN_LOCATION

const sizeWithVariables: Directive<Template | null> = one<Template | null>(everywhere, null, (word, at) => {
  if (!word.includes('$') && parseSize(word) === null) at.fail(`"${at.name}" directive invalid value`)
  return Template.parse(word, at)
})

const directives = {
  limit_rate: sizeWithVariables,
  limit_rate_after: sizeWithVariables,
}

interface RateConf {
  readonly rate: Value | null
  readonly after: Value | null
}

export const limitRate = httpModule({
  name: 'limit-rate',
  directives,
  compile(conf, at, http) {
    const rate = conf.limit_rate === null ? null : at.value(conf.limit_rate)
    const after = conf.limit_rate_after === null ? null : at.value(conf.limit_rate_after)
    if (rate?.constant === '0' || (rate === null && !mayBeSet(at.scope, http.scope))) return
    at.filter(limit, { rate, after } satisfies RateConf)
  },
})

/** Without limit_rate it is for requests to set $limit_rate, and for upstreams. */
function mayBeSet(scope: Scope, http: Scope): boolean {
  if (scope.statement?.block?.some(({ name }) => name.endsWith('_pass')) === true) return true
  let isSet = settings.get(http)
  if (isSet === undefined) settings.set(http, (isSet = setsRate(http.statement?.block ?? [])))
  return isSet
}

/** Does an http block set $limit_rate anywhere? Looked up once for all its locations. */
const settings = new WeakMap<Scope, boolean>()

function setsRate(statements: readonly Statement[]): boolean {
  return statements.some(({ name, words, block }) =>
    name === 'set' ? words[0]?.text.toLowerCase() === '$limit_rate' : block !== null && setsRate(block),
  )
}

function limit(r: HttpRequest, conf: RateConf): BodyStage | null {
  const rate = rateOf(r) ?? sizeOf(r, conf.rate)
  setRate(r, rate)
  return rate === 0 || r.bodiless ? null : new RateLimit(r, rate, sizeOf(r, conf.after))
}

function sizeOf(r: HttpRequest, value: Value | null): number {
  if (value === null) return 0
  const text = value.get(r)
  const size = parseSize(text)
  if (size === null) r.log(ERR, `invalid size "${text}"`)
  return size ?? 0
}

/** Of a clock that nobody sets: nginx waits for as long as its own is set back. */
function wholeSeconds(): number {
  return Math.floor(monotonic() / 1000)
}

/**
 * Holds back what may not leave yet. As in nginx a second's worth goes at once, and the next when as much time has passed
 * as that took.
 */
class RateLimit extends BodyStage {
  private readonly r: HttpRequest
  private readonly rate: number
  private readonly after: number
  private readonly startSecond = wholeSeconds()
  private readonly timer = new Timer<RateLimit>(this, stage => stage.wake())
  private waiting: Buffer = EMPTY
  private flags = 0
  private sent = 0
  private delayed = false
  /** The client's side is slower than the limit. */
  private blocked = false

  constructor(r: HttpRequest, rate: number, after: number) {
    super()
    this.r = r
    this.rate = rate
    this.after = after
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    const held = this.waiting.length > 0
    this.waiting = held ? Buffer.concat([this.waiting, bytes]) : bytes
    this.flags |= flags
    if (!held && bytes.length === 0) return this.next!.write(r, bytes, flags) && !this.delayed
    this.pump(r)
    return this.waiting.length === 0 && !this.blocked
  }

  override drain(r: HttpRequest): void {
    this.blocked = false
    this.pump(r)
    if (this.waiting.length === 0 && !this.blocked) super.drain(r)
  }

  private wake(): void {
    this.delayed = false
    if (!this.blocked) this.drain(this.r)
  }

  private pump(r: HttpRequest): void {
    while (this.waiting.length > 0 && !this.delayed && !this.blocked) {
      const elapsed = wholeSeconds() - this.startSecond
      const allowed = this.rate * (elapsed + 1) - (this.sent - this.after)
      if (allowed <= 0) this.delay(Math.floor((-allowed * 1000) / this.rate) + 1)
      else this.send(r, Math.min(allowed, this.waiting.length))
    }
  }

  private send(r: HttpRequest, size: number): void {
    const bytes = this.waiting.subarray(0, size)
    this.waiting = this.waiting.subarray(size)
    const before = Math.max(0, this.sent - this.after)
    this.sent += size
    const { flags } = this
    const isAll = this.waiting.length === 0
    if (isAll) this.flags = 0
    this.blocked = !this.next!.write(r, bytes, isAll ? flags : 0)
    const ms = Math.floor(((Math.max(0, this.sent - this.after) - before) * 1000) / this.rate)
    if (ms > 0 && !r.done) this.delay(ms)
  }

  private delay(ms: number): void {
    this.delayed = true
    timers.arm(this.timer, ms)
  }

  override destroy(_r: HttpRequest): void {
    timers.release(this.timer)
    this.waiting = EMPTY
  }
}
