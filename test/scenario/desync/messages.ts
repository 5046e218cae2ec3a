// Requests by chance, good ones and such as are known to be read differently by different servers (request smuggling), strung
// together as a client might send them over one connection.

import { mutate } from '../../codec/h1/feeding.ts'
import type { Random } from '../../codec/h1/feeding.ts'

function one<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!
}

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
  name
    .replace('TRANSFER-ENCODING', 'CONTENT-LENGTH')
    .replace('transfer-encoding', 'content-length')
    .replace('Transfer', 'Content')
    .replace('Encoding', 'Length'),
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

const LINE_ENDS = ['\n', '\n', '\n', '\r', '\r\r\n', '\n\r\n', '\r\n\r', '\n\n']

const EVIL = 'GET /evil HTTP/1.1\r\nHost: h\r\n\r\n'

function chunks(random: Random, data: string, usual: boolean): string {
  const odd = usual ? 4 : CHUNKS.length
  let text = ''
  for (let n = random.below(3); n >= 0; n--) {
    text += CHUNKS[random.below(odd)]!(random.below(3) === 0 ? data : `${data}${'y'.repeat(random.below(20))}`)
  }
  return text + LASTS[random.below(usual ? 4 : LASTS.length)]!
}

/** A part of a request that may be odd; most requests have one such part. */
const LINE = 1
const FRAMING = 2
const CHUNKED = 4
const OTHER = 8
const ENDS = 16
const PARTS = [0, LINE, FRAMING, FRAMING, CHUNKED, CHUNKED, OTHER, OTHER, ENDS, LINE | OTHER | FRAMING | CHUNKED | ENDS]

/** A request to `path` that may well have something wrong with its framing. */
export function request(random: Random, path: string): string {
  const parts = one(random, PARTS)
  const odd = (part: number): boolean => (parts & part) !== 0 && random.below(3) > 0
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
  const length = (n: number): string =>
    odd(FRAMING) ? `${one(random, LENGTH_NAMES)}: ${one(random, LENGTHS)(n)}` : `Content-Length: ${n}`
  const coding = (): string =>
    odd(FRAMING) ? `${one(random, CODING_NAMES)}:${one(random, CODINGS)}` : 'Transfer-Encoding: chunked'
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
  const end = (): string => ((parts & ENDS) !== 0 && random.below(4) === 0 ? one(random, LINE_ENDS) : '\r\n')
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

const STATUS_LINES = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 204 No Content',
  'HTTP/1.1 304 Not Modified',
  'HTTP/1.1 205 Reset Content',
  'HTTP/1.1 206 Partial Content',
  'HTTP/1.1 404 Not Found',
  'HTTP/1.1 500 Internal Server Error',
  'HTTP/1.1 200',
  'HTTP/1.1 200 ',
  'HTTP/1.1  200  OK',
  'HTTP/1.1 20 OK',
  'HTTP/1.1 2000 OK',
  'HTTP/1.1 099 OK',
  'HTTP/1.1 999 OK',
  'HTTP/1.1 000 OK',
  'HTTP/1.1 +200 OK',
  'HTTP/1.1 200.1 OK',
  'HTTP/1.1 200\tOK',
  'HTTP/1.1 200 O\0K',
  'HTTP/1.1 200 O\rK',
  'HTTP/1.2 200 OK',
  'HTTP/1.10 200 OK',
  'HTTP/2.0 200 OK',
  'HTTP/0.9 200 OK',
  'http/1.1 200 OK',
  ' HTTP/1.1 200 OK',
  '\r\nHTTP/1.1 200 OK',
  'HTTP/1.1 101 Switching Protocols',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket',
  'HTTP/1.1 100 Continue',
  'HTTP/1.1 199 X',
  '<html>',
  '',
]
const INTERIMS = [
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n',
  'HTTP/1.1 102 Processing\r\n\r\n',
  'HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nConnection: close\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n'.repeat(50),
]
const RESPONSE_OTHERS = [
  ...OTHERS.filter(field => !field.startsWith('X: xxx')),
  'X-Accel-Redirect: /good/evil',
  'X-Accel-Buffering: no',
  'X-Accel-Limit-Rate: 1000000',
  'X-Accel-Charset: utf-8',
  'X-Accel-Expires: 1',
  'Content-Encoding: gzip',
  'Content-Range: bytes 0-0/1',
  'Location: http://back/x',
  'Set-Cookie: a=b',
  'Trailer: X',
  'Refresh: 0',
  'Date: now',
  'Server: x',
  'ETag: "x"',
]
const EVIL_ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
const BEHIND = [
  '',
  '',
  '',
  '',
  EVIL_ANSWER,
  '\r\n',
  '\n',
  'x',
  '0\r\n\r\n',
  `\r\n${EVIL_ANSWER}`,
  EVIL_ANSWER.repeat(3),
]

/** What a back end may answer. */
export function answer(random: Random): string {
  const parts = one(random, PARTS)
  const odd = (part: number): boolean => (parts & part) !== 0 && random.below(3) > 0
  const line = odd(LINE) ? one(random, STATUS_LINES) : 'HTTP/1.1 200 OK'
  const fields: string[] = []
  const data = one(random, ['evil', EVIL_ANSWER, `x${EVIL_ANSWER}`, '', `0\r\n\r\n${EVIL_ANSWER}`, 'z'.repeat(90)])
  let body = data
  const length = (n: number): string =>
    odd(FRAMING) ? `${one(random, LENGTH_NAMES)}: ${one(random, LENGTHS)(n)}` : `Content-Length: ${n}`
  const coding = (): string =>
    odd(FRAMING) ? `${one(random, CODING_NAMES)}:${one(random, CODINGS)}` : 'Transfer-Encoding: chunked'
  const manner = random.below(8)
  if (manner < 3) fields.push(length(body.length))
  else if (manner < 6) {
    body = chunks(random, data, !odd(CHUNKED))
    fields.push(coding())
  } else if (manner === 6 && (parts & FRAMING) !== 0) {
    if (random.below(2) === 0) body = chunks(random, data, true)
    fields.push(length(body.length), coding())
  }
  for (let n = (parts & OTHER) === 0 ? 0 : random.below(4); n > 0; n--) fields.push(one(random, RESPONSE_OTHERS))
  if (random.below(3) === 0) fields.reverse()
  const end = (): string => ((parts & ENDS) !== 0 && random.below(4) === 0 ? one(random, LINE_ENDS) : '\r\n')
  const interim = odd(OTHER) ? one(random, INTERIMS) : ''
  return `${interim}${line}${end()}${fields.map(field => `${field}${end()}`).join('')}${end()}${body}${one(random, BEHIND)}`
}
