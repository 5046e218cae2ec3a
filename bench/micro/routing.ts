// What many names and locations cost: `node bench/micro/routing.ts`. How much processor time they take to compile, and how
// much longer a request takes to be routed than with one server and one location: the best of several short rounds.

import { compile, parse } from '../../src/cli/configuration.ts'
import { AbsentClient, headOf } from '../../src/cli/explain-client.ts'
import type { Source } from '../../src/config/source.ts'
import type { ListenRuntime } from '../../src/http/runtime.ts'
import { HttpRequest } from '../../src/http/request.ts'

const FILE = '/routing.conf'
const COMPILE_MAX_MS = 1000
const REQUEST_MAX_US = 3

interface Case {
  readonly name: string
  readonly http: string
  /** The request to be routed. */
  readonly host: string
  readonly uri: string
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
const server = (body: string, names = 'one.example'): string =>
  `server { listen 8080; server_name ${names}; ${body} }\n`
const prefixes = (count: number): string =>
  numbers(count)
    .map(i => `location /section${i}/part${i % 7}/ {}\n`)
    .join('')

/** As people write them: by folder, by extension, with an identifier, and some that could be anything. */
const patterns = numbers(200).map(i => {
  switch (i % 5) {
    case 0:
      return `~ ^/shop${i}/(\\d+)/`
    case 1:
      return `~* \\.(?:ext${i}|xt${i})$`
    case 2:
      return `~ ^/(?:en|de)/page${i}(?:/|$)`
    case 3:
      return `~ /old${i}/`
    default:
      return `~ ^/[a-z]+/[0-9]+/item${i}\\.html$`
  }
})
const regexes = patterns
  .map(pattern => `location "${pattern.slice(0, pattern.indexOf(' '))}${pattern.slice(pattern.indexOf(' ') + 1)}" {}\n`)
  .join('')

const one = {
  name: 'one location',
  http: server('location /x {} location / {}'),
  host: 'one.example',
  uri: '/articles/2024/a-page.html',
}
const cases: readonly Case[] = [
  {
    ...one,
    name: '10,000 names of one server',
    http:
      server(
        'location / {}',
        numbers(10_000)
          .map(i => `n${i}.example`)
          .join(' '),
      ) + server('', 'b'),
    host: 'n9999.example',
  },
  {
    ...one,
    name: '10,000 servers, exact names',
    http: numbers(10_000)
      .map(i => server('', `n${i}.example`))
      .join(''),
    host: 'n9999.example',
  },
  {
    ...one,
    name: '10,000 wildcards',
    http:
      server(
        '',
        numbers(5_000)
          .map(i => `*.n${i}.example www.n${i}.*`)
          .join(' '),
      ) + server('', 'b'),
    host: 'a.b.c.n4999.example',
  },
  { ...one, name: '1,000 prefixes, none matches', http: server(`location / {} ${prefixes(1000)}`) },
  {
    ...one,
    name: '1,000 prefixes, one matches',
    http: server(`location / {} ${prefixes(1000)}`),
    uri: '/section999/part5/a-page.html',
  },
  { ...one, name: '200 patterns, none matches', http: server(`location / {} ${regexes}`) },
  {
    ...one,
    name: '200 patterns, the last matches',
    http: server(`location / {} ${regexes}`),
    uri: '/abc/123/item199.html',
  },
]

const base = route(one).us
console.log(`${'one location'.padEnd(34)} ${''.padStart(7)}    ${base.toFixed(2).padStart(6)} us`)
for (const each of cases) {
  const { compileMs, us } = route(each)
  const verdict = compileMs > COMPILE_MAX_MS || us - base > REQUEST_MAX_US ? '  too slow' : ''
  console.log(
    `${each.name.padEnd(34)} ${compileMs.toFixed(0).padStart(7)} ms ${`+${(us - base).toFixed(2)}`.padStart(6)} us${verdict}`,
  )
}

function route({ http, host, uri }: Case): { compileMs: number; us: number } {
  const start = process.cpuUsage()
  const listen = compileText(`events {} http { ${http} }`)
  const { user, system } = process.cpuUsage(start)
  const compileMs = (user + system) / 1000
  const head = headOf('GET', uri, host, [], listen)
  const r = new HttpRequest(new AbsentClient('127.0.0.1', 8080, null), head, listen.defaultServer, '127.0.0.1', 1)
  r.uri = uri
  let best = Infinity
  const times = 20_000
  for (let round = 0; round < 9; round++) {
    const from = process.hrtime.bigint()
    for (let i = 0; i < times; i++) {
      r.server = listen.serverFor(host)
      r.server.locations.find(r)
    }
    best = Math.min(best, Number(process.hrtime.bigint() - from) / times / 1000)
  }
  return { compileMs, us: best }
}

function compileText(text: string): ListenRuntime {
  const source = { read: () => text, glob: () => [], readData: () => ({ text: '', error: null }) } as unknown as Source
  const invocation = { prefix: '/', file: FILE, directives: '', errorLog: null }
  return compile(source, parse(source, invocation), invocation, false, () => {}).http.listens[0]!.runtime
}
