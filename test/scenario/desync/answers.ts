// Answers of a back end by chance, good ones and such as another server might take for more, or fewer, than one.

import type { Random } from '../../codec/h1/feeding.ts'
import { CHUNKED, FRAMING, LINE, OTHER, OTHERS, chunks, oddities, one } from './oddities.ts'

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
  const { parts, odd, length, coding, end } = oddities(random)
  const line = odd(LINE) ? one(random, STATUS_LINES) : 'HTTP/1.1 200 OK'
  const fields: string[] = []
  const data = one(random, ['evil', EVIL_ANSWER, `x${EVIL_ANSWER}`, '', `0\r\n\r\n${EVIL_ANSWER}`, 'z'.repeat(90)])
  let body = data
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
  const interim = odd(OTHER) ? one(random, INTERIMS) : ''
  return `${interim}${line}${end()}${fields.map(field => `${field}${end()}`).join('')}${end()}${body}${one(random, BEHIND)}`
}
