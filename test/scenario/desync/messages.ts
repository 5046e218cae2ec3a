// Requests by chance, good ones and such as are known to be read differently by different servers (request smuggling), strung
// together as a client might send them over one connection.

import { mutate } from '../../codec/h1/feeding.ts'
import type { Random } from '../../codec/h1/feeding.ts'
import { CHUNKED, EVIL, FRAMING, LINE, OTHER, OTHERS, chunks, oddities, one } from './oddities.ts'

const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'PUT',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'FOO',
  'POST',
  'TRACE',
  'CONNECT',
]

/** `%` is the path. */
const LINES: readonly ((method: string, path: string) => string)[] = [
  (method, path) => `${method}  ${path}  HTTP/1.1`,
  (method, path) => `${method} ${path} HTTP/1.1 `,
  (method, path) => `${method}\t${path} HTTP/1.1`,
  (method, path) => `${method} ${path}\tHTTP/1.1`,
  (method, path) => `${method} ${path} HTTP/1.0`,
  (method, path) => `${method} ${path} HTTP/1.2`,
  (method, path) => `${method} ${path} HTTP/1.10`,
  (method, path) => `${method} ${path} HTTP/2.0`,
  (method, path) => `${method} ${path} HTTP/0.9`,
  (method, path) => `${method} ${path} http/1.1`,
  (method, path) => `${method} ${path} HTTP/1.1, HTTP/1.1`,
  (method, path) => `${method} ${path}`,
  (method, path) => `${method} ${path} HTTP/1.1\r`,
  (method, path) => `${method} ${path} HTTP/1.1\0`,
  (method, path) => `${method} ${path}\x0bHTTP/1.1`,
  (method, path) => `${method} ${path}\xa0 HTTP/1.1`,
  (method, path) => `${method} ${path}?a b HTTP/1.1`,
  (method, path) => `${method} http://h${path} HTTP/1.1`,
  (method, path) => `${method} http://other:81${path} HTTP/1.1`,
  method => `${method} http://h\r\nX: y HTTP/1.1`,
  (method, path) => `${method} //evil${path} HTTP/1.1`,
  (method, path) => `${method} ${path}#frag HTTP/1.1`,
  (method, path) => `${method} ${path}/%0d%0aHost:%20x/%00 HTTP/1.1`,
  (method, path) => `${method} ${path}/%0d%0a%20x HTTP/1.1`,
  (method, path) => `${method} ${path}/../..${path} HTTP/1.1`,
  (method, path) => `\r\n\r\n${method} ${path} HTTP/1.1`,
  (method, path) => `\n${method} ${path} HTTP/1.1`,
  (method, path) => `\r${method} ${path} HTTP/1.1`,
  (method, path) => ` ${method} ${path} HTTP/1.1`,
  (_, path) => `get ${path} HTTP/1.1`,
  (_, path) => `G\0T ${path} HTTP/1.1`,
  () => 'OPTIONS * HTTP/1.1',
  () => 'CONNECT h:80 HTTP/1.1',
  () => 'PRI * HTTP/2.0',
]

/** A request to `path` that may well have something wrong with its framing. */
export function request(random: Random, path: string): string {
  const { parts, odd, length, coding, end } = oddities(random)
  const method = METHODS[random.below(parts === 0 ? 4 : METHODS.length)]!
  const line = odd(LINE) ? one(random, LINES)(method, path) : `${method} ${path} HTTP/1.1`
  const fields = odd(OTHER) && random.below(6) === 0 ? [] : ['Host: h']
  const data = one(random, [
    EVIL,
    `x=${EVIL}`,
    'abc',
    '0\r\n\r\n',
    `0\r\n\r\n${EVIL}`,
    'z'.repeat(90),
    `\r\n${EVIL}`,
    '',
  ])
  let body = ''
  const manner = random.below(8)
  if (manner < 3) {
    body = data
    fields.push(length(body.length))
  } else if (manner < 6) {
    body = chunks(random, data, !odd(CHUNKED))
    fields.push(coding())
  } else if (manner === 6 && (parts & FRAMING) !== 0) {
    // Both, in all their spellings.
    body = random.below(2) === 0 ? chunks(random, data, true) : data
    fields.push(length(random.below(2) === 0 ? body.length : random.below(8)), coding())
    if (random.below(4) === 0) fields.push(coding())
  } else if ((parts & FRAMING) !== 0) body = data
  for (let n = (parts & OTHER) === 0 ? 0 : random.below(4); n > 0; n--) fields.push(one(random, OTHERS))
  if (random.below(3) === 0) fields.reverse()
  return `${line}${end()}${fields.map(field => `${field}${end()}`).join('')}${end()}${body}`
}

/** What a client sends: a few requests, some of them with bytes changed. */
export function conversation(random: Random, path: (n: number) => string): string {
  let text = ''
  const count = 1 + random.below(3)
  for (let n = 0; n < count; n++) {
    const whole = request(random, path(n))
    text +=
      random.below(5) === 0 ? mutate(Buffer.from(whole, 'latin1'), Buffer.from(EVIL), random).toString('latin1') : whole
  }
  return text
}
