// limit_except: requests with other methods than those named see the location's other self, configured by the block
// (ngx_http_core_limit_except).

import { LIMIT_EXCEPT, LOCATION, type Directive, type Scope } from '../config/directive.ts'
import type { HttpRequest } from './request.ts'
import type { LocationRuntime } from './runtime.ts'

const METHODS = new Set(
  'GET HEAD POST PUT DELETE MKCOL COPY MOVE OPTIONS PROPFIND PROPPATCH LOCK UNLOCK PATCH'.split(' '),
)

export interface LimitExceptRule {
  readonly methods: ReadonlySet<string>
  readonly scope: Scope
}

export const limitExcept: Directive<LimitExceptRule | null> = {
  in: LOCATION,
  args: [1, Infinity],
  default: null,
  block: LIMIT_EXCEPT,
  inheritedBy: 0,
  parse(words, at) {
    const methods = new Set(words.map(word => word.toUpperCase()))
    for (const word of words) if (!METHODS.has(word.toUpperCase())) at.fail(`invalid method "${word}"`)
    // Who may GET may HEAD.
    if (methods.has('GET')) methods.add('HEAD')
    return { methods, scope: at.inner! }
  },
}

export interface LimitExcept {
  readonly methods: ReadonlySet<string>
  readonly otherwise: LocationRuntime
}

/** What the location is for a request with that method. */
export function locationFor(r: HttpRequest, location: LocationRuntime): LocationRuntime {
  const limit = location.limitExcept
  return limit === null || limit.methods.has(r.method) ? location : limit.otherwise
}
