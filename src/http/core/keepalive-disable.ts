// keepalive_disable: browsers of old that get into trouble with connections that stay (ngx_http_process_user_agent).

import { bitmask } from '../../config/values.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import type { HttpRequest } from '../request.ts'

const MSIE6 = 2
const SAFARI = 4

const browsers = bitmask(HTTP | SERVER | LOCATION, { none: 1, msie6: MSIE6, safari: SAFARI }, MSIE6)

export const keepaliveDisable: typeof browsers = { ...browsers, args: [1, 2] }

/** Is the request's client one of them? `browsers` is the directive's value. */
export function mistrustsKeepAlive(r: HttpRequest, browsers: number): boolean {
  const asksMsie = (browsers & MSIE6) !== 0 && r.method === 'POST'
  const asksSafari = (browsers & SAFARI) !== 0
  const agent = asksMsie || asksSafari ? r.header('user-agent') : null
  if (agent === null || agent.includes('Opera')) return false
  const msie = agent.indexOf('MSIE ')
  if (msie !== -1 && msie + 7 < agent.length) return asksMsie && isMsie6(agent, msie)
  return asksSafari && /Safari\//.test(agent) && agent.includes('Mac OS X') && !/Gecko\/|Chrome\//.test(agent)
}

/** Up to version 6, before the second service pack of Windows XP. */
function isMsie6(agent: string, at: number): boolean {
  const version = agent.slice(at + 5, at + 7)
  return version === '4.' || version === '5.' || (version === '6.' && !agent.includes('SV1', at + 8))
}
