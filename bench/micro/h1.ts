// What a head costs, in nanoseconds: `node bench/micro/h1.ts`. The best of several short rounds, for a shared machine.

import { ChunkedDecoder } from '../../src/codec/h1/chunked.ts'
import type { RequestLimits } from '../../src/codec/h1/head.ts'
import { parseRequestHead, RequestHead } from '../../src/codec/h1/request-head.ts'
import { parseResponseHead, ResponseHead } from '../../src/codec/h1/response-head.ts'
import { parseUri, Uri } from '../../src/codec/h1/uri.ts'
import { chunkLine, httpDate, statusLine } from '../../src/codec/h1/write.ts'

const limits: RequestLimits = {
  lineMax: 8192,
  fieldMax: 8192,
  headMax: 32768,
  fieldsMax: 1000,
  underscores: false,
  ignoreInvalid: true,
  strict: false,
  hostRequired: true,
  raw: false,
  lenient: 0,
}

const browser = Buffer.from(
  [
    'GET /static/css/site.css?v=12 HTTP/1.1',
    'Host: www.example.com',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'Accept: text/css,*/*;q=0.1',
    'Accept-Language: en-US,en;q=0.5',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Connection: keep-alive',
    'Referer: https://www.example.com/articles/2024/05/17/a-page.html',
    'Cookie: sessionid=0123456789abcdef0123456789abcdef; csrftoken=abcdefghijklmnopqrstuvwxyz',
    'Sec-Fetch-Mode: no-cors',
    '\r\n',
  ].join('\r\n'),
)
const tool = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n')
const answer = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: keep-alive\r\n' +
    'Content-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello',
)
const chunks = Buffer.from('400\r\n'.concat('x'.repeat(1024), '\r\n').repeat(16).concat('0\r\n\r\n'))

// A slice of a head, as targets are: its characters cost more to look at than a flat string's.
const simple = browser.toString('latin1').slice(4, 29)

const request = new RequestHead()
const response = new ResponseHead()
const uri = new Uri()
const decoder = new ChunkedDecoder('response')
const sink = {
  onBody(_bytes: Buffer, start: number, end: number): void {
    total += end - start
  },
}
let total = 0

round('request head, nine fields', 300_000, () => parseRequestHead(browser, 0, browser.length, limits, request))
round('request head, three fields', 600_000, () => parseRequestHead(tool, 0, tool.length, limits, request))
round('response head, five fields', 400_000, () => parseResponseHead(answer, 0, answer.length, limits, response))
round('uri, simple', 2_000_000, () => Number(parseUri(simple, true, uri)))
round('uri, to be decoded', 500_000, () => Number(parseUri('/a/./b/../c%20d//e?x=1', true, uri)))
round('16 chunks of 1 KiB', 200_000, () => {
  decoder.restart()
  return decoder.feed(chunks, 0, chunks.length, sink)
})
round('status line', 5_000_000, () => statusLine(200).length)
round('date', 5_000_000, () => httpDate(784111777).length)
round('chunk line', 5_000_000, () => chunkLine(16384).length)

function round(name: string, times: number, run: () => number): void {
  let best = Infinity
  for (let n = 0; n < 7; n++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < times; i++) total += run()
    best = Math.min(best, Number(process.hrtime.bigint() - start) / times)
  }
  console.log(`${name.padEnd(28)} ${best.toFixed(0).padStart(6)} ns`)
}
