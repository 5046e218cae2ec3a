// Two small modules for the language's tests, and an example of how a module declares its directives. The names and
// manners are nginx's, so that every golden file can also be put before nginx itself.

import {
  EVENTS,
  HTTP,
  IF_IN_LOCATION,
  IF_IN_SERVER,
  LIMIT_EXCEPT,
  LOCATION,
  MAIN,
  SERVER,
  UPSTREAM,
} from '../../src/config/directive.ts'
import { Registry } from '../../src/config/registry.ts'
import * as values from '../../src/config/values.ts'
import type { Site } from '../../src/config/directive.ts'

const everywhere = HTTP | SERVER | LOCATION
const withIf = everywhere | IF_IN_LOCATION
const handlers = LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT

export const core = {
  daemon: values.flag(MAIN, true),
  worker_rlimit_nofile: values.number(MAIN, null),
  events: values.section(MAIN, EVENTS),
  worker_connections: values.number(EVENTS, 512),
  http: values.section(MAIN, HTTP),
  server: values.block(HTTP, [0, 0], SERVER, () => 'server'),
  location: values.block(SERVER | LOCATION, [1, 2], LOCATION, ([path]) => path),
  // The inner context follows from where the directive stands.
  if: values.block(
    SERVER | LOCATION,
    [1, Infinity],
    context => (context === SERVER ? IF_IN_SERVER : IF_IN_LOCATION),
    words => words.join(' '),
  ),
  listen: values.list(SERVER, [1, Infinity], ([address]) => address),
  server_name: values.list(SERVER, [1, Infinity], names => names),
  root: values.path(withIf, null),
  sendfile: values.flag(withIf, false),
  tcp_nopush: values.accepted(values.flag(everywhere, false)),
  client_max_body_size: values.offset(everywhere, 1024 * 1024),
  client_body_buffer_size: values.size(everywhere, 16384),
  client_body_timeout: values.time(HTTP | SERVER, 60_000),
  msie_padding: values.flag(everywhere, true),
  satisfy: values.oneOf(everywhere, ['all', 'any'], 'all'),
  postpone_output: values.size(everywhere, 1460),
  output_buffers: values.buffers(everywhere, { number: 2, size: 32768 }),
  internal: { in: LOCATION, args: [0, 0], default: false, inheritedBy: 0, parse: () => true },
  // Rewrite rules belong to their block alone.
  return: { ...values.words(SERVER | LOCATION | IF_IN_SERVER | IF_IN_LOCATION, [1, 2], null), inheritedBy: 0 },
  types: { ...values.block(everywhere, [0, 0], 'data', readTypes), inheritedBy: everywhere },
} as const

export const proxy = {
  upstream: values.block(HTTP, [1, 1], UPSTREAM, ([name], at) => {
    const servers = at.inner!.conf(peers).server
    if (servers.length === 0) at.failAt(at.end, 'no servers are inside upstream')
    return { name, servers }
  }),
  // A handler: blocks without a name of their own take it over, nested locations do not.
  proxy_pass: { ...values.template(handlers, null), inheritedBy: IF_IN_LOCATION | LIMIT_EXCEPT },
  proxy_read_timeout: values.time(everywhere, 60_000),
  proxy_buffers: values.buffers(everywhere, { number: 8, size: 4096 }),
  proxy_http_version: values.choice(everywhere, { '1.0': 10, '1.1': 11 }, 11),
  proxy_next_upstream: values.bitmask(everywhere, { error: 2, timeout: 4, http_500: 16, off: 1 }, 6),
  proxy_set_header: values.list(everywhere, [2, 2], ([name, value], at) => ({ name, value: valueOf(value!, at) })),
  // Unlike nginx's own lists these add up from the outside inwards.
  proxy_hide_header: {
    ...values.list(everywhere, [1, 1], ([name]) => name!),
    merge: (outer: readonly string[], inner: readonly string[]) => [...outer, ...inner],
  },
}

/** `server` once more: in an upstream it is a peer, and has no braces. */
export const peers = {
  server: values.list(UPSTREAM, [1, Infinity], ([address]) => address!),
}

export const registry = new Registry([core, proxy, peers])

function readTypes(_args: readonly string[], at: Site): Record<string, string> {
  const types: Record<string, string> = {}
  for (const line of at.lines) {
    for (const { text: extension } of line.words) {
      if (types[extension] !== undefined) at.warn(`duplicate extension "${extension}"`)
      types[extension] = line.name
    }
  }
  return types
}

function valueOf(text: string, at: Site): string {
  return values.template(HTTP, null).parse([text], at, undefined)!.text
}
