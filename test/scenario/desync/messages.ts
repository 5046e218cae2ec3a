// Requests by chance, good ones and such as are known to be read differently by different servers (request smuggling), strung
// together as a client might send them over one connection.

import { mutate } from '../../codec/h1/feeding.ts'
import type { Random } from '../../codec/h1/feeding.ts'

function one<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!
}

const METHODS = ['GET', 'GET', 'POST', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'FOO', 'POST', 'TRACE', 'CONNECT']

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
  (method, path) => `${method} http://h\r\nX: y HTTP/1.1`,
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

const CODINGS = [
  'chunked',
  'chunked',
  'Chunked',
  ' chunked ',
  '\tchunked\t',
  '\vchunked',
  'chunked\v',
  '\fchunked',
  '\r\n chunked',
  '\n chunked',
  '\r\n\tchunked',
  '\rchunked',
  'chunked\r',
  '\0chunked',
  'chunked\0',
  'chunked, identity',
  'identity, chunked',
  'chunked, chunked',
  'gzip, chunked',
  'xchunked',
  'chunkedx',
  'chunk ed',
  'chu\x00nked',
  ',chunked',
  'chunked,',
  ', chunked,',
  '"chunked"',
  "'chunked'",
  'chunked;q=1',
  'chunked; ',
  'identity',
  '',
  'cow',
  'c\u0068unked\xa0',
  '\xa0chunked',
  'chun\u006bed\x85',
  '\xffchunked',
]
const CODING_NAMES = [
  'Transfer-Encoding',
  'Transfer-Encoding',
  'Transfer-Encoding',
  'transfer-encoding',
  'TRANSFER-ENCODING',
  'Transfer-Encoding ',
  'Transfer-Encoding\t',
  'Transfer-Encoding\v',
  'Transfer-Encoding\r\n',
  'Transfer-Encoding\0',
  ' Transfer-Encoding',
  '\tTransfer-Encoding',
  'Transfer_Encoding',
  'Transfer Encoding',
  'Transfer.Encoding',
  'Transfer-\r\nEncoding',
  'X: y\rTransfer-Encoding',
  'X: y\nTransfer-Encoding',
  'X: y\r\n Transfer-Encoding',
  '"Transfer-Encoding"',
  '\xa0Transfer-Encoding',
  'Transfer-Encoding\xa0',
  'Foo\r\nTransfer-Encoding',
]
const LENGTH_NAMES = CODING_NAMES.map(name =>
  name.replace('TRANSFER-ENCODING', 'CONTENT-LENGTH').replace('transfer-encoding', 'content-length').replace('Transfer', 'Content').replace('Encoding', 'Length'),
)

/** What a length may be written as. */
const LENGTHS: readonly ((n: number) => string)[] = [
  n => `${n}`,
  n => `${n}`,
  n => `${n}`,
  n => `0${n}`,
  n => `+${n}`,
  n => `-${n}`,
  n => `0x${n.toString(16)}`,
  n => `${n}.0`,
  n => `${n}e0`,
  n => `${n},${n}`,
  n => `${n}, ${n}`,
  n => `${n}, 0`,
  n => `0, ${n}`,
  n => `${n},`,
  n => `,${n}`,
  n => `${n} `,
  n => `${n} 0`,
  n => `${n}_0`,
  n => `"${n}"`,
  n => `${n};x`,
  n => `${n}\0`,
  n => `${n}\r`,
  n => `\v${n}`,
  n => `${n}\f`,
  n => `\r\n ${n}`,
  n => `\xb2${n}`,
  n => `${18446744073709551616n + BigInt(n)}`,
  n => `${4294967296 + n}`,
  n => `00000000000000000000${n}`,
  () => '',
  () => '0',
  n => `${n + 1}`,
  n => `${n - 1}`,
]

const OTHERS: readonly string[] = [
  'Host: h',
  'Host: other',
  'Host : h',
  'Host: h/evil',
  'Host: h:80:90',
  'Host:',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: Content-Length',
  'Connection: Transfer-Encoding, close',
  'Connection: Host, X',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13',
  'Connection: upgrade\r\nUpgrade: TLS/1.0',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Expect: 100-continue',
  'Expect: 100-CONTINUE ',
  'Expect: 200-ok',
  'Expect: ',
  'Expect: 100-continue, x',
  'Expect: \t100-continue',
  'TE: trailers, chunked',
  'Trailer: Content-Length',
  'X-HTTP-Method-Override: DELETE',
  'X-Original-URL: /evil',
  'X: a\0b',
  'X: a\rb',
  'X: a\nb: c',
  'X: a\r\n folded',
  'X: a\r\n\tContent-Length: 5',
  'X: \xff\x80',
  'X\x7f: y',
  'X',
  ':',
  ': x',
  ' : x',
  'X_Y: z',
  'Content-Type: application/x-www-form-urlencoded',
  `X: ${'x'.repeat(9000)}`,
  'Content-Encoding: chunked',
  'Range: bytes=0-0',
  'Max-Forwards: 0',
  'If-None-Match: *',
  'Accept: */*',
  'Cookie: a=b',
]

/** One chunk of data, as it should be and otherwise. */
const CHUNKS: readonly ((data: string) => string)[] = [
  data => `${data.length.toString(16)}\r\n${data}\r\n`,
  data => `${data.length.toString(16)}\r\n${data}\r\n`,
  data => `${data.length.toString(16)}\r\n${data}\r\n`,
  data => `${data.length.toString(16)}\r\n${data}\r\n`,
  data => `${data.length.toString(16).toUpperCase()}\r\n${data}\r\n`,
  data => `000${data.length.toString(16)}\r\n${data}\r\n`,
  data => `${data.length.toString(16)};a=b\r\n${data}\r\n`,
  data => `${data.length.toString(16)};a="b;c\\"d"\r\n${data}\r\n`,
  data => `${data.length.toString(16)} ;a\r\n${data}\r\n`,
  data => `${data.length.toString(16)};a\n${data}\r\n`,
  data => `${data.length.toString(16)};a="\r\n"\r\n${data}\r\n`,
  data => `${data.length.toString(16)};a\r${data}\r\n`,
  data => `${data.length.toString(16)};\0\r\n${data}\r\n`,
  data => `${data.length.toString(16)};${'x'.repeat(5000)}\r\n${data}\r\n`,
  data => `${data.length.toString(16)} \r\n${data}\r\n`,
  data => `${data.length.toString(16)}\t\r\n${data}\r\n`,
  data => ` ${data.length.toString(16)}\r\n${data}\r\n`,
  data => `${data.length.toString(16)}\n${data}\n`,
  data => `${data.length.toString(16)}\r\n${data}\n`,
  data => `${data.length.toString(16)}\n${data}\r\n`,
  data => `${data.length.toString(16)}\r${data}\r\n`,
  data => `${data.length.toString(16)}\r\n${data}`,
  data => `${data.length.toString(16)}\r\n${data}XX`,
  data => `${data.length.toString(16)}\r\n${data}\r\n\r\n`,
  data => `+${data.length.toString(16)}\r\n${data}\r\n`,
  data => `-${data.length.toString(16)}\r\n${data}\r\n`,
  data => `0x${data.length.toString(16)}\r\n${data}\r\n`,
  data => `${data.length.toString(16)}_0\r\n${data}\r\n`,
  data => `${data.length.toString(16)}h\r\n${data}\r\n`,
  data => `${data.length.toString(16)}, 0\r\n${data}\r\n`,
  data => `${data.length.toString(16)}.\r\n${data}\r\n`,
  data => `${data.length.toString(16)}\0\r\n${data}\r\n`,
  data => `${data.length.toString(16)}\xb2\r\n${data}\r\n`,
  data => `${(data.length + 1).toString(16)}\r\n${data}\r\n`,
  data => `${Math.max(1, data.length - 1).toString(16)}\r\n${data}\r\n`,
  data => `1000000000000000${data.length.toString(16)}\r\n${data}\r\n`,
  data => `f0000000000000${data.length.toString(16)}\r\n${data}\r\n`,
  data => `100000000${data.length.toString(16).padStart(2, '0')}\r\n${data}\r\n`,
  data => `\r\n${data}\r\n`,
  data => `;a\r\n${data}\r\n`,
  data => `"${data.length.toString(16)}"\r\n${data}\r\n`,
]
const LASTS = [
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0;x\r\n\r\n',
  '000\r\n\r\n',
  '0\r\nX: y\r\n\r\n',
  '0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n',
  '0\r\nHost: x\r\n\r\n',
  '0\r\nContent-Length : 5\r\n\r\n',
  '0\r\nX: y\n\r\n',
  '0\r\nX: y\r\n folded\r\n\r\n',
  '0\r\nX\r\n\r\n',
  '0\r\nX: a\0\r\n\r\n',
  '0\r\nGET /evil HTTP/1.1\r\n\r\n',
  '0\n\n',
  '0\r\n\n',
  '0\r\r\n\r\n',
  '0\r\n\rX',
  '0\r\n',
  '-0\r\n\r\n',
  '+0\r\n\r\n',
  '0x0\r\n\r\n',
  '00 \r\n\r\n',
  '',
]

const EVIL = 'GET /evil HTTP/1.1\r\nHost: h\r\n\r\n'

function chunks(random: Random, data: string, usual: boolean): string {
  const odd = usual ? 4 : CHUNKS.length
  let text = ''
  for (let n = random.below(3); n >= 0; n--) {
    text += CHUNKS[random.below(odd)]!(random.below(3) === 0 ? data : `${data}${'y'.repeat(random.below(20))}`)
  }
  return text + LASTS[random.below(usual ? 4 : LASTS.length)]!
}

/** A request to `path` that is likely to have something wrong with its framing. */
export function request(random: Random, path: string): string {
  const rarely = (): boolean => random.below(6) === 0
  const method = one(random, METHODS)
  const line = random.below(4) === 0 ? one(random, LINES)(method, path) : `${method} ${path} HTTP/1.1`
  const fields = rarely() ? [] : ['Host: h']
  const data = one(random, [EVIL, `x=${EVIL}`, 'abc', '0\r\n\r\n', `0\r\n\r\n${EVIL}`, 'z'.repeat(90), `\r\n${EVIL}`, ''])
  let body = ''
  const manner = random.below(8)
  const isOdd = random.below(2) === 0
  if (manner < 3) {
    body = data
    fields.push(isOdd ? `${one(random, LENGTH_NAMES)}: ${one(random, LENGTHS)(body.length)}` : `Content-Length: ${body.length}`)
  } else if (manner < 6) {
    body = chunks(random, data, !isOdd)
    fields.push(isOdd && rarely() ? `${one(random, CODING_NAMES)}:${one(random, CODINGS)}` : 'Transfer-Encoding: chunked')
  } else if (manner === 6) {
    // Both, in all their spellings.
    body = random.below(2) === 0 ? chunks(random, data, true) : data
    fields.push(`${one(random, LENGTH_NAMES)}: ${one(random, LENGTHS)(random.below(2) === 0 ? body.length : random.below(8))}`)
    fields.push(`${one(random, CODING_NAMES)}: ${one(random, CODINGS)}`)
    if (rarely()) fields.push(`${one(random, CODING_NAMES)}: ${one(random, CODINGS)}`)
  } else if (rarely()) body = data
  for (let n = random.below(4) - 1; n > 0; n--) fields.push(one(random, OTHERS))
  if (random.below(3) === 0) fields.reverse()
  const end = (): string => (random.below(40) === 0 ? one(random, ['\n', '\r', '\r\r\n', '\n\r\n', '\r\n\r', '\n\n']) : '\r\n')
  return `${line}${end()}${fields.map(field => `${field}${end()}`).join('')}${end()}${body}`
}

/** What a client sends: a few requests, some of them with bytes changed. */
export function conversation(random: Random, path: (n: number) => string): string {
  let text = ''
  const count = 1 + random.below(3)
  for (let n = 0; n < count; n++) {
    const whole = request(random, path(n))
    text += random.below(4) === 0 ? mutate(Buffer.from(whole, 'latin1'), Buffer.from(EVIL), random).toString('latin1') : whole
  }
  return text
}
