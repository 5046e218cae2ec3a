// After thousands of requests that go wrong in every way an upstream and a client know, descriptors, timers, counts and
// bytes are where they were. FAULTS=100000 for the long run.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import type net from 'node:net'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { timers, type Timer } from '../../../src/lib/timer-wheel.ts'
import { eventually, get, origin, RawClient, reply } from '../../helpers/index.ts'
import type { HttpServer } from '../../helpers/http.ts'
import { serveHttp } from '../../helpers/http.ts'

const COUNT = Number(process.env['FAULTS'] ?? 1400)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What an upstream may do instead of answering well; `/fault/N` asks for it. */
const faults: readonly ((socket: net.Socket) => string | void)[] = [
  () => reply('fine'),
  socket => void socket.end(),
  socket => void socket.resetAndDestroy(),
  () => 'HTTP/1.1 200 O',
  socket => void socket.end('HTTP/1.1 200 OK\r\nContent-Le'),
  socket => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all'),
  socket => void socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
  socket => void socket.end('\0\xff\x16\x03garbage\r\n\r\n'),
  socket => void socket.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`),
  () => `${reply('fine')}and more`,
  socket => void socket.end('HTTP/1.1 100 Continue\r\n\r\n'.repeat(200)),
  () => reply('no', {}, '500 Internal Server Error'),
  () => reply('x'.repeat(100_000)),
  socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n')
    setTimeout(() => socket.resetAndDestroy(), 2)
  },
]

/** What a client may do. */
async function client(server: HttpServer, i: number): Promise<void> {
  const path = `/fault/${i % faults.length}`
  const manner = Math.floor(i / faults.length) % 4
  if (manner === 0) {
    await get(server.port, path).catch(() => null)
    return
  }
  // Not raw(), which would remember it.
  const one = new RawClient(server.port)
  await one.connected
  const head = `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`
  if (manner === 1) {
    await one.send(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nhalf`).catch(() => null)
    one.destroy()
  } else if (manner === 2) {
    await one.send(head).catch(() => null)
    one.destroy()
  } else {
    await one.send(head).catch(() => null)
    await one.until('HTTP').catch(() => null)
    one.destroy()
  }
}

/** On the heap, and Buffers beside it. */
function bytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** Timers that are armed, on the thread's wheel: each bucket is a ring with a timer at its head that is none. */
function armed(): number {
  const { buckets } = timers as unknown as { buckets: Timer<unknown>[] }
  let count = 0
  for (const head of buckets) {
    let steps = 0
    for (let one = head.next; one !== null && one !== head; one = one.next) {
      if (one.deadline !== 0) count++
      assert.ok(++steps < 1_000_000, 'a ring has an end')
    }
  }
  return count
}

test(`${COUNT} faulty requests leave nothing behind`, { timeout: COUNT * 60 + 60_000 }, async t => {
  const answer = (request: { target: string }, socket: net.Socket): string | void =>
    faults[Number(request.target.split('/')[2] ?? 0) % faults.length]!(socket)
  const [one, other] = [await origin(t, answer), await origin(t, answer)]
  const server = await serveHttp(
    t,
    `location /api { api; }
     location / { proxy_pass http://u; proxy_next_upstream error timeout invalid_header http_500 non_idempotent;
       proxy_read_timeout 100ms; proxy_connect_timeout 1s; }`,
    `upstream u { zone z 64k; server ${one.path} max_fails=0; server ${other.path} max_fails=0;
       sticky cookie id; queue 50 timeout=5s concurrency=24; keepalive 8; }`,
  )
  const batch = async (from: number, count: number): Promise<void> => {
    for (let i = from; i < from + count; i += 32) {
      one.requests.length = 0
      other.requests.length = 0
      await Promise.all(Array.from({ length: Math.min(32, from + count - i) }, (_, k) => client(server, i + k)))
    }
  }
  const settled = async (): Promise<any> => {
    const view = await eventually(async () => {
      const view = JSON.parse((await get(server.port, '/api/9/http/upstreams/u')).text)
      assert.deepEqual([view.peers[0].active, view.peers[1].active, view.queue.active, view.queue.size], [0, 0, 0, 0])
      return view
    })
    collectGarbage()
    return view
  }
  // Everything that is made once is made.
  await batch(0, faults.length * 8)
  await settled()
  const before = { fds: descriptors(), timers: armed(), bytes: bytes(), rss: process.memoryUsage().rss }
  await batch(0, COUNT)
  const view = await settled()
  assert.ok(view.peers[0].requests + view.peers[1].requests >= COUNT / 2)
  // Idle connections that are kept, and the request that asks.
  await eventually(
    () => descriptors() <= before.fds + 40 || assert.fail(`${descriptors()} descriptors, ${before.fds} before`),
    20_000,
  )
  await eventually(
    () => armed() <= before.timers + 40 || assert.fail(`${armed()} timers, ${before.timers} before`),
    20_000,
  )
  collectGarbage()
  const grown = bytes() - before.bytes
  const rss = process.memoryUsage().rss - before.rss
  t.diagnostic(
    `${grown} bytes (${rss} resident), ${descriptors() - before.fds} descriptors, ${armed() - before.timers} timers more`,
  )
  assert.ok(grown < 6_000_000, `${grown} bytes more`)
})
