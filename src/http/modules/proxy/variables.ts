// $proxy_host, $proxy_port and $proxy_add_x_forwarded_for.

import type { Variable } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
import { currentTarget } from './target.ts'

export const proxyVariables: Readonly<Record<string, Variable>> = {
  proxy_host: { get: r => currentTarget(r)?.hostHeader ?? null },
  proxy_port: { get: r => currentTarget(r)?.port ?? null },
  proxy_add_x_forwarded_for: { get: forwardedFor },
}

/** What came, all of it, and behind it the client we have seen ourselves. */
function forwardedFor(r: HttpRequest): string {
  const { head } = r
  if (head.xForwardedForIndex === -1) return r.clientAddress
  let text = ''
  for (let i = 0; i < head.count; i++) if (head.names[i] === 'x-forwarded-for') text += `${head.values[i]}, `
  return text + r.clientAddress
}
