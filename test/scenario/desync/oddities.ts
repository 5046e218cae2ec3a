// What requests and answers by chance have in common: odd spellings of lengths, codings, chunks and line ends.

import type { Random } from '../../codec/h1/feeding.ts'

export function one<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!
}

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

export const OTHERS: readonly string[] = [
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

export const EVIL = 'GET /evil HTTP/1.1\r\nHost: h\r\n\r\n'

export function chunks(random: Random, data: string, usual: boolean): string {
  const odd = usual ? 4 : CHUNKS.length
  let text = ''
  for (let n = random.below(3); n >= 0; n--) {
    text += CHUNKS[random.below(odd)]!(random.below(3) === 0 ? data : `${data}${'y'.repeat(random.below(20))}`)
  }
  return text + LASTS[random.below(usual ? 4 : LASTS.length)]!
}

// Parts of a message that may be odd; most messages have one such part.
export const LINE = 1
export const FRAMING = 2
export const CHUNKED = 4
export const OTHER = 8
const ENDS = 16
const PARTS = [0, LINE, FRAMING, FRAMING, CHUNKED, CHUNKED, OTHER, OTHER, ENDS, LINE | OTHER | FRAMING | CHUNKED | ENDS]

/** One message's: which parts of it are odd, and such parts. */
interface Oddities {
  readonly parts: number
  readonly odd: (part: number) => boolean
  /** A field that tells the length. */
  readonly length: (n: number) => string
  /** A field that says that the body is in chunks. */
  readonly coding: () => string
  /** The end of a line. */
  readonly end: () => string
}

export function oddities(random: Random): Oddities {
  const parts = one(random, PARTS)
  const odd = (part: number): boolean => (parts & part) !== 0 && random.below(3) > 0
  const length = (n: number): string =>
    odd(FRAMING) ? `${one(random, LENGTH_NAMES)}: ${one(random, LENGTHS)(n)}` : `Content-Length: ${n}`
  const coding = (): string =>
    odd(FRAMING) ? `${one(random, CODING_NAMES)}:${one(random, CODINGS)}` : 'Transfer-Encoding: chunked'
  const end = (): string => ((parts & ENDS) !== 0 && random.below(4) === 0 ? one(random, LINE_ENDS) : '\r\n')
  return { parts, odd, length, coding, end }
}
