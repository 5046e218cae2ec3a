// Requests that come by HTTP/2 and go on by HTTP/1 and its relatives: whatever stands in a client's frames, a back end sees at
// most one request for a stream, the one its fields say, with the body its frames have. What HTTP/2 can say and HTTP/1 cannot
// (line ends in names and values, spaces in paths, a length that is another) is refused.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Random, seed } from '../../codec/h1/feeding.ts'
import { serveHttp } from '../../helpers/http.ts'
import { END_HEADERS, END_STREAM, frame, headers, http2 } from '../../helpers/http2.ts'
import type { Http2Client } from '../../helpers/http2.ts'
import { echoOf, fastcgi, http } from './backends.ts'
import type { SeenRequest } from './backends.ts'

const CASES = Number(process.env['DESYNC'] ?? 500)
const EVIL = 'GET /evil HTTP/1.1\r\nHost: h\r\n\r\n'

type Pair = [name: string, value: string]

const PATHS = [
  '',
  '*',
  'x',
  '%p HTTP/1.1\r\nHost: x\r\n\r\nGET /evil',
  '%p HTTP/1.1',
  '%p\r\nX: y',
  '%p\nX: y',
  '%p\t',
  '%p\0',
  '%p?a b',
  '%p?%0d%0aX:%20y',
  '%p/%0d%0a%20HTTP/1.1%0d%0aHost:%20x',
  '%p#x',
  'http://other%p',
  '//other%p',
  '%p/../..%p',
  '%p\x80',
]
const METHODS = [
  'GET',
  'POST',
  'HEAD',
  'PUT',
  '',
  'get',
  'GET ',
  'GET /evil HTTP/1.1\r\nHost: h\r\n\r\nGET',
  'CONNECT',
  'TRACE',
  'PRI',
  'G\0T',
  'FOO-BAR',
  'G:T',
]
const SCHEMES = ['http', 'https', '', 'HTTP', 'http://evil/?', 'ht tp', 'http\r\n', 'x\0']
const AUTHORITIES = [
  'h',
  'h:80',
  '',
  'h h',
  'h\r\nX: y',
  'user@h',
  'h/evil',
  'h:80:80',
  'h,i',
  '[::1]',
  'h?x',
  'h#x',
  'h\t',
  '%00',
  'H',
]
const FIELDS: readonly Pair[] = [
  ['transfer-encoding', 'chunked'],
  ['transfer-encoding', 'identity'],
  ['transfer_encoding', 'chunked'],
  ['Transfer-Encoding', 'chunked'],
  ['transfer-encoding ', 'chunked'],
  [' transfer-encoding', 'chunked'],
  ['transfer-encoding\t', 'chunked'],
  ['transfer-encoding:', 'chunked'],
  ['transfer-encoding: chunked\r\nx', 'y'],
  ['x: y\r\ntransfer-encoding', 'chunked'],
  ['x\r\n\r\nGET /evil HTTP/1.1\r\nhost', 'h'],
  ['x\ntransfer-encoding', 'chunked'],
  ['x:transfer-encoding', 'chunked'],
  [':transfer-encoding', 'chunked'],
  ['', 'x'],
  [':', 'x'],
  ['x\0y', 'z'],
  ['x\x7f', 'z'],
  ['x\x80', 'z'],
  ['x"y', 'z'],
  ['x y', 'z'],
  ['x/y', 'z'],
  ['x', 'a\r\nTransfer-Encoding: chunked'],
  ['x', 'a\nTransfer-Encoding: chunked'],
  ['x', 'a\rTransfer-Encoding: chunked'],
  ['x', `a\r\n\r\n${EVIL}`],
  ['x', 'a\0b'],
  ['x', '\x0btransfer-encoding'],
  ['x', '\x7f'],
  ['x', ' a '],
  ['x', '\ta\t'],
  ['x', '\r\n'],
  ['x', ''],
  ['connection', 'close'],
  ['connection', 'content-length'],
  ['connection', 'upgrade'],
  ['upgrade', 'websocket'],
  ['upgrade', 'h2c'],
  ['http2-settings', 'AAMAAABkAAQAoAAAAAIAAAAA'],
  ['keep-alive', 'timeout=5'],
  ['proxy-connection', 'keep-alive'],
  ['te', 'trailers'],
  ['te', 'chunked'],
  ['te', 'trailers, chunked'],
  ['trailer', 'content-length'],
  ['expect', '100-continue'],
  ['expect', 'x'],
  ['host', 'h'],
  ['host', 'evil'],
  ['host', 'h\r\nx: y'],
  ['cookie', 'a=b'],
  ['cookie', 'c=d\r\nX: y'],
  [':path', '/evil'],
  [':method', 'DELETE'],
  [':authority', 'evil'],
  [':scheme', 'https'],
  [':status', '200'],
  [':protocol', 'websocket'],
  [':evil', 'x'],
  ['content-type', 'text/plain'],
  ['range', 'bytes=0-0'],
  ['accept', '*/*'],
]
const LENGTHS: readonly ((n: number) => string)[] = [
  n => `${n}`,
  n => `${n}`,
  n => `${n + 1}`,
  n => `${n - 1}`,
  () => '0',
  () => '5',
  n => `+${n}`,
  n => `0${n}`,
  n => ` ${n}`,
  n => `${n},${n}`,
  n => `${n}\r\n`,
  n => `0x${n.toString(16)}`,
  () => '',
  () => '18446744073709551616',
]
const TRAILERS: readonly Pair[] = [
  ['x-trailer', 'y'],
  ['content-length', '5'],
  ['transfer-encoding', 'chunked'],
  ['host', 'evil'],
  ['x', 'a\r\nb: c'],
  ['x\r\n', 'y'],
  [':path', '/evil'],
  ['X', 'y'],
  ['x"y', 'z'],
  ['', ''],
]

function one<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!
}

interface Sent {
  readonly frames: Buffer[]
  readonly method: string
  readonly path: string
  /** Null: not all of it was sent. */
  readonly body: string | null
  /** A request that anybody must refuse has a fault that is told here. */
  readonly refused: boolean
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/

function stream(random: Random, id: number, path: string): Sent {
  const sound = random.below(2) === 0
  const odd = (): boolean => random.below(sound ? 30 : 5) === 0
  const data = one(random, ['', EVIL, 'abc', `0\r\n\r\n${EVIL}`, 'z'.repeat(90)])
  const method = odd() ? one(random, METHODS) : data === '' ? 'GET' : 'POST'
  const target = odd() ? one(random, PATHS).replaceAll('%p', path) : path
  const pseudo: Pair[] = [
    [':method', method],
    [':scheme', odd() ? one(random, SCHEMES) : 'http'],
    [':path', target],
    [':authority', odd() ? one(random, AUTHORITIES) : 'h'],
  ]
  if (odd()) pseudo.splice(random.below(4), 1)
  if (odd()) pseudo.reverse()
  const fields: Pair[] = []
  for (let n = random.below(sound ? 2 : 4); n > 0; n--) fields.push(one(random, FIELDS))
  if (random.below(2) === 0)
    fields.push(['content-length', odd() ? one(random, LENGTHS)(data.length) : `${data.length}`])
  if (random.below(20) === 0) fields.push(['content-length', one(random, LENGTHS)(data.length)])
  const all = odd() && odd() ? [...fields, ...pseudo] : [...pseudo, ...fields]
  const frames: Buffer[] = []
  const bare = data === '' && random.below(2) === 0
  const trailers = !bare && odd() ? [one(random, TRAILERS), one(random, TRAILERS)].slice(random.below(2)) : null
  const ended = random.below(12) > 0
  frames.push(headers(id, all, (bare && ended ? END_STREAM : 0) | END_HEADERS))
  if (!bare) {
    const cut = random.below(data.length + 1)
    const last = ended && trailers === null ? END_STREAM : 0
    if (cut > 0) frames.push(frame(0, 0, id, data.slice(0, cut)))
    frames.push(frame(0, last, id, data.slice(cut)))
    if (trailers !== null) frames.push(headers(id, trailers, (ended ? END_STREAM : 0) | END_HEADERS))
  }
  const lengths = fields.filter(([name]) => name === 'content-length')
  const names = all.map(([name]) => name).filter(name => name.startsWith(':'))
  const valueOf = (wanted: string): string => all.find(([name]) => name === wanted)?.[1] ?? ''
  const refused =
    lengths.length > 1 ||
    lengths.some(([, value]) => !/^\d+$/.test(value) || Number(value) !== data.length) ||
    all.some(([name, value]) => CONTROL.test(name) || CONTROL.test(value) || /[A-Z ]/.test(name) || /.:/.test(name)) ||
    new Set(names).size < names.length ||
    names.some(name => !/^:(?:method|scheme|path|authority)$/.test(name)) ||
    fields.some(([name]) => /^(?:connection|transfer.encoding|upgrade|keep-alive|proxy-connection)$/.test(name)) ||
    target.includes(' ')
  return { frames, method: valueOf(':method'), path: valueOf(':path'), body: ended ? data : null, refused }
}

function check(sent: Sent, seen: readonly SeenRequest[]): void {
  assert.ok(seen.length <= 1, 'one request makes no two')
  const [got] = seen
  if (got === undefined) return
  assert.ok(!sent.refused, 'it was to be refused')
  assert.deepEqual(
    { method: got.method, target: got.target, body: got.body },
    { method: sent.method, target: sent.path, body: sent.body },
  )
}

const start = seed()
const KINDS = [
  ['HTTP/1.1', http, 'proxy_pass http://back;'],
  [
    'HTTP/1.1, bodies as they come',
    http,
    'proxy_pass http://back; proxy_request_buffering off; proxy_pass_trailers on;',
  ],
  ['HTTP/1.1, whatever the names', http, 'proxy_pass http://back;'],
  [
    'FastCGI',
    fastcgi,
    'fastcgi_pass back; fastcgi_keep_conn on; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param REQUEST_URI $request_uri; fastcgi_param CONTENT_LENGTH $content_length;',
  ],
] as const

for (const [name, make, pass] of KINDS) {
  test(
    `no frames of HTTP/2 are two requests of ${name} (FUZZ_SEED=${start})`,
    { timeout: 120_000 + CASES * 50 },
    async t => {
      const random = new Random(start)
      const back = await make(t)
      const server = await serveHttp(
        t,
        `http2 on; location / { ${pass} } ${name.includes('names') ? 'ignore_invalid_headers off; underscores_in_headers on;' : ''}`,
        `upstream back { server 127.0.0.1:${back.port}; keepalive 4; }`,
      )
      let client: Http2Client | null = null
      let [id, whole] = [1, 0]
      for (let i = 0; i < CASES; i++) {
        if (client === null || client.ended || id > 200) {
          client?.socket.destroy()
          client = await http2(t, server.port)
          id = 1
        }
        const sent = stream(random, id, `/p/${i}`)
        if (random.below(2) === 0) client.send(...sent.frames)
        else for (const bytes of sent.frames) client.send(bytes)
        // A request without an end is given up by the client.
        if (sent.body === null) client.send(frame(3, 0, id, '\0\0\0\x08'))
        // What follows on the connection is answered when the stream is done with.
        const ping = `ping${String(i).padStart(4, '0')}`
        const [own, connection] = [id, client]
        if (sent.body !== null)
          await client
            .until(
              () => connection.ended || connection.answer(own).ended || connection.answer(own).reset !== null,
              `the end of stream ${own}`,
            )
            .catch(() => {})
        client.send(frame(6, 0, 0, ping))
        await client
          .until(
            () =>
              connection.ended ||
              connection.frames.some(frame => frame.type === 'PING' && frame.payload.toString() === ping),
            'a ping',
          )
          .catch(() => {})
        const seen = back.take()
        try {
          assert.deepEqual(back.faults, [])
          check(sent, seen)
          if (seen.length === 1 && seen[0]!.method !== 'HEAD' && !client.ended && client.answer(id).reset === null) {
            assert.equal(client.answer(id).body, echoOf(seen[0]!.method, seen[0]!.target, seen[0]!.body))
          }
        } catch (error) {
          const frames = sent.frames.map(bytes => bytes.toString('latin1'))
          t.diagnostic(
            `${(error as Error).message} in case ${i}: ${JSON.stringify({ ...sent, frames })}\nseen ${JSON.stringify(seen)}\nanswer ${JSON.stringify(client.answer(id))}`,
          )
          throw error
        }
        whole += seen.length
        client.frames.length = 0
        id += 2
      }
      client?.socket.destroy()
      t.diagnostic(`${whole} of ${CASES} went on`)
    },
  )
}
