// nginx's log context of a request that deals with an upstream: as HttpRequest.log, and whom it asks for what.

import type { Exchange } from './exchange.ts'

export function logUpstream(x: Exchange, level: number, message: string): void {
  const { r } = x
  const log = r.location.errorLog
  if (level > log.level) return
  const version = r.version === 9 ? '' : r.version === 10 ? ' HTTP/1.0' : ' HTTP/1.1'
  const host = r.header('host')
  const referrer = r.header('referer')
  const addr = x.attempt === null ? x.group.name : x.attempt.addr
  const upstream = `${x.protocol.scheme}${addr}${addr.startsWith('unix:') ? ':' : ''}${x.uri}`
  log.log(
    level,
    `${message}, client: ${r.clientAddress}, server: ${r.server.name}, ` +
      `request: "${r.method} ${r.unparsedUri}${version}", upstream: "${upstream}"` +
      (host === null ? '' : `, host: "${host}"`) +
      (referrer === null ? '' : `, referrer: "${referrer}"`),
    r.stream.connectionNumber,
  )
}
