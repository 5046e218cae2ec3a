// Sizes of nginx's pools (ngx_http_core_pool_size). There are none here; what nginx would not take is a mistake all the same.

import type { Directive } from '../../config/directive.ts'
import { accepted, checked, size } from '../../config/values.ts'

const POOL_MIN = 112
const ALIGNMENT = 16

export function poolSize(contexts: number, fallback: number): Directive<number> {
  return accepted(checked(size(contexts, fallback), poolProblem))
}

function poolProblem(value: number): string {
  if (value < POOL_MIN) return `the pool size must be no less than ${POOL_MIN}`
  return value % ALIGNMENT === 0 ? '' : `the pool size must be a multiple of ${ALIGNMENT}`
}
