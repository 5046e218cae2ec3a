// As leaks.test.ts, for the other protocols spoken to upstreams, for clients that speak HTTP/2, and with a cache between them:
// after thousands of requests that go wrong, descriptors, timers, counts and bytes are where they were. FAULTS=100000 for the
// long run.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import net from 'node:net'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { timers, type Timer } from '../../../src/lib/timer-wheel.ts'
import { serveHttp } from '../../helpers/http.ts'
import { END_HEADERS, frame, get as getFields, headers, Http2Client, PREFACE, settings } from '../../helpers/http2.ts'
import { eventually, get, RawClient } from '../../helpers/index.ts'
import { atEnd } from '../../helpers/scope.ts'
import type { Scope } from '../../helpers/scope.ts'

const COUNT = Number(process.env['FAULTS'] ?? 1200)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const CGI = 'Status: 200 OK\r\nContent-Length: 4\r\n\r\nfine'
const record = (type: number, text: string): string =>
  String.fromCharCode(1, type, 0, 1, text.length >> 8, text.length & 255, 0, 0) + text

/** Good answers by the path that was asked for. */
const good: Readonly<Record<string, string>> = {
  h: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=1\r\n\r\nfine',
  f: record(6, CGI) + record(6, '') + record(3, '\0\0\0\0\0\0\0\0'),
  u: CGI,
  s: CGI,
  m: 'VALUE key 0 4\r\nfine\r\nEND\r\n',
  g: Buffer.concat([settings(), headers(1, [[':status', '200']], END_HEADERS), frame(0, 1, 1, 'fine')]).toString(
    'latin1',
  ),
}
const KINDS = Object.keys(good)

type Fault = (socket: net.Socket, good: string) => void
const faults: readonly Fault[] = [
  (socket, good) => void socket.write(good, 'latin1'),
  socket => void socket.end(),
  socket => void socket.resetAndDestroy(),
  (socket, good) => void socket.write(good.slice(0, good.length >> 1), 'latin1'),
  (socket, good) => void socket.end(good.slice(0, good.length - 3), 'latin1'),
  (socket, good) => void socket.end(`${good}${good}`, 'latin1'),
  socket => void socket.end('\0\xff\x16\x03garbage\r\n\r\n', 'latin1'),
  (socket, good) => void socket.end(good.replace('200', '500'), 'latin1'),
  socket => void socket.end(`X: ${'x'.repeat(70_000)}\r\n\r\n`),
  (socket, good) => void setTimeout(() => socket.end(good, 'latin1'), 5),
]

/** Speaks whatever it is asked in: `/fault/KIND/N` can be read in all of them. */
async function anything(t: Scope): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      const path = /\/fault\/([a-z])\/(\d+)/.exec(chunk.toString('latin1'))
      if (path !== null) faults[Number(path[2]) % faults.length]!(socket, good[path[1]!]!)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

async function client1(port: number, path: string, manner: number): Promise<void> {
  if (manner === 0) {
    await get(port, path).catch(() => null)
    return
  }
  const one = new RawClient(port)
  one.socket.on('error', () => {})
  await one.connected
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'
  await one
    .send(`POST ${path} HTTP/1.1\r\nHost: h\r\n${manner === 1 ? `${chunked}zz` : `${chunked}0\r\n\r\n`}`)
    .catch(() => null)
  if (manner === 2) await one.until('HTTP').catch(() => null)
  one.destroy()
}

/** Three streams: one is left to end, one is reset, one is cut off with the connection. */
async function client2(port: number, path: string): Promise<void> {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  socket.on('error', () => {})
  const one = new Http2Client(socket)
  one.send(
    PREFACE,
    settings(),
    headers(1, getFields(path)),
    headers(3, getFields(path)),
    headers(5, getFields(path), END_HEADERS),
  )
  one.send(frame(0, 0, 5, 'abc'), frame(3, 0, 3, '\0\0\0\x08'))
  await one.response(1).catch(() => null)
  socket.destroy()
}

function client(port: number, i: number): Promise<void> {
  const kind = KINDS[i % KINDS.length]!
  const n = Math.floor(i / KINDS.length)
  const path = `/fault/${kind}/${n % faults.length}`
  const manner = Math.floor(n / faults.length) % 5
  return manner < 4 ? client1(port, path, manner) : client2(port, path)
}

/** Timers that are armed, on the thread's wheel. */
function armed(): number {
  const { buckets } = timers as unknown as { buckets: Timer<unknown>[] }
  let count = 0
  for (const head of buckets) {
    for (let one = head.next; one !== null && one !== head; one = one.next) if (one.deadline !== 0) count++
  }
  return count
}

function bytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test(`${COUNT} faulty requests of all protocols leave nothing behind`, { timeout: COUNT * 60 + 60_000 }, async t => {
  const port = await anything(t)
  const limits = (kind: string): string =>
    `${kind}_read_timeout 50ms; ${kind}_connect_timeout 1s; ${kind}_next_upstream error timeout invalid_header;`
  const params = (kind: string): string =>
    `${kind}_param REQUEST_METHOD $request_method; ${kind}_param REQUEST_URI $request_uri;`
  const server = await serveHttp(
    t,
    `http2 on; location /api { api; } location = /status { stub_status; }
     location /fault/h/ { proxy_pass http://back; proxy_cache c; proxy_cache_key $request_uri; proxy_cache_lock on;
       proxy_request_buffering off; ${limits('proxy')} }
     location /fault/f/ { fastcgi_pass back; fastcgi_keep_conn on; ${params('fastcgi')} ${limits('fastcgi')} }
     location /fault/u/ { uwsgi_pass back; ${params('uwsgi')} ${limits('uwsgi')} }
     location /fault/s/ { scgi_pass back; scgi_request_buffering off; ${params('scgi')} ${limits('scgi')} }
     location /fault/m/ { memcached_pass back; set $memcached_key $request_uri; memcached_read_timeout 50ms; }
     location /fault/g/ { grpc_pass back; ${limits('grpc')} }`,
    `upstream back { zone z 64k; server 127.0.0.1:${port} max_fails=0; keepalive 8; }
     proxy_cache_path cache keys_zone=c:64k;`,
  )
  const batch = async (from: number, count: number): Promise<void> => {
    for (let i = from; i < from + count; i += 32)
      await Promise.all(Array.from({ length: Math.min(32, from + count - i) }, (_, k) => client(server.port, i + k)))
  }
  const state = async (): Promise<{ fds: number; timers: number; bytes: number; rss: number }> => {
    await eventually(async () => {
      const { peers } = JSON.parse((await get(server.port, '/api/9/http/upstreams/back')).text)
      assert.equal(peers[0].active, 0)
      // The one that asks.
      assert.match((await get(server.port, '/status')).text, /^Active connections: 1 \n/)
      return true
    })
    collectGarbage()
    const { rss } = process.memoryUsage()
    return { fds: readdirSync('/proc/self/fd').length, timers: armed(), bytes: bytes(), rss }
  }
  // Everything that is made once is made.
  await batch(0, KINDS.length * faults.length * 5)
  const before = await state()
  await batch(0, COUNT)
  const after = await eventually(async () => {
    const now = await state()
    assert.ok(now.fds <= before.fds + 16, `${now.fds} descriptors, ${before.fds} before`)
    assert.ok(now.timers <= before.timers + 16, `${now.timers} timers, ${before.timers} before`)
    return now
  })
  const grown = after.bytes - before.bytes
  t.diagnostic(`${grown} bytes (${after.rss - before.rss} resident), ${after.fds - before.fds} descriptors more`)
  assert.ok(grown < 6_000_000, `${grown} bytes more`)
})
