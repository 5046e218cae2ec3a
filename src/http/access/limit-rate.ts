// $limit_rate: how fast a response may leave, in bytes a second, where the request itself has a say: `set` and the
// X-Accel-Limit-Rate of an upstream set it. The directives and the stage that holds back are modules/limit-rate.ts's.

import { parseSize } from '../../config/units.ts'
import { ERR } from '../../log/error-log.ts'
import { Slot } from '../module.ts'
import type { HttpRequest } from '../request.ts'

const rates = new Slot<number>()

/** Null: not set. 0: no limit. */
export function rateOf(r: HttpRequest): number | null {
  return rates.get(r)
}

export function setRate(r: HttpRequest, rate: number): void {
  rates.set(r, rate)
}

/** `set $limit_rate 10k` (ngx_http_variable_set_limit_rate). */
export function setRateText(r: HttpRequest, text: string): void {
  const rate = parseSize(text)
  if (rate === null) r.log(ERR, `invalid $limit_rate "${text}"`)
  else rates.set(r, rate)
}
