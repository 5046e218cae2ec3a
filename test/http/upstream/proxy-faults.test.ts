// Everything that may go wrong between a client and an upstream, one row for each, and that nothing is left of it: not a
// descriptor, not a timer, not a byte.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import type net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import v8 from 'node:v8'
import vm from 'node:vm'
import { timers } from '../../../src/lib/timer-wheel.ts'
import { eventually, get, origin, raw, RawClient, reply, serve } from '../../helpers/index.ts'
import type { OriginRequest } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { atEnd } from '../../helpers/scope.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'

const LARGE = Buffer.alloc(3_000_000, 'large')
/** More than sockets' buffers take. */
const HUGE = Buffer.alloc(24_000_000, 'huge')

function whole(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${OK}Content-Length: ${body.length}\r\n\r\n`), body])
}

interface Fault {
  readonly what: string
  readonly does: (socket: net.Socket) => void
  /** 0: the client is cut off in the middle of its answer. */
  readonly status: number
  readonly logged: RegExp
}

const says =
  (text: string, then: 'stay' | 'close' | 'reset' = 'stay') =>
  (socket: net.Socket): void => {
    if (then === 'close') socket.end(text, 'latin1')
    else socket.write(text, 'latin1', () => (then === 'reset' ? socket.resetAndDestroy() : undefined))
  }

const faults: readonly Fault[] = [
  {
    what: 'closes without a word',
    does: says('', 'close'),
    status: 502,
    logged: /prematurely closed connection while reading response header/,
  },
  {
    what: 'resets',
    does: socket => void socket.resetAndDestroy(),
    status: 502,
    logged: /recv\(\) failed \(104: Connection reset by peer\) while reading response header/,
  },
  {
    what: 'closes within the status line',
    does: says('HTTP/1.1 20', 'close'),
    status: 502,
    logged: /prematurely closed connection while reading response header/,
  },
  {
    what: 'closes within a field',
    does: says(`${OK}Content-Le`, 'close'),
    status: 502,
    logged: /prematurely closed connection while reading response header/,
  },
  {
    what: 'resets within the head',
    does: says(`${OK}A: b\r\n`, 'reset'),
    status: 502,
    logged: /while reading response header/,
  },
  {
    what: 'closes behind the head',
    does: says(`${OK}Content-Length: 5\r\n\r\n`, 'close'),
    status: 0,
    logged: /prematurely closed connection while reading upstream/,
  },
  {
    what: 'closes within the body',
    does: says(`${OK}Content-Length: 5\r\n\r\nsom`, 'close'),
    status: 0,
    logged: /prematurely closed connection while reading upstream/,
  },
  {
    what: 'resets within the body',
    does: says(`${OK}Content-Length: 5\r\n\r\nsom`, 'reset'),
    status: 0,
    logged: /while reading upstream/,
  },
  {
    what: 'closes within a chunk',
    does: says(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nsom`, 'close'),
    status: 0,
    logged: /prematurely closed connection while reading upstream/,
  },
  {
    what: 'closes before the last chunk',
    does: says(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n`, 'close'),
    status: 0,
    logged: /prematurely closed connection while reading upstream/,
  },
  {
    what: 'closes within the trailers',
    does: says(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nX: y`, 'close'),
    status: 0,
    logged: /prematurely closed connection while reading upstream/,
  },
  {
    what: 'sends garbage',
    does: says('\x16\x03\x01\0garbage\r\n\r\n'),
    status: 502,
    logged: /upstream sent no valid HTTP\/1\.0 header/,
  },
  {
    what: 'sends zeros',
    does: says('\0'.repeat(10_000)),
    status: 502,
    logged: /upstream sent no valid HTTP\/1\.0 header/,
  },
  {
    what: 'sends garbage for a chunk',
    does: says(`${OK}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`),
    status: 0,
    logged: /upstream sent invalid chunked response/,
  },
  {
    what: 'sends a head without end',
    does: says(`${OK}A: ${'x'.repeat(9000)}`),
    status: 502,
    logged: /upstream sent too big header/,
  },
  {
    what: 'sends fields without end',
    does: says(`${OK}${'A: b\r\n'.repeat(3000)}`),
    status: 502,
    logged: /upstream sent too big header/,
  },
  {
    what: 'sends a status line without end',
    does: says(`HTTP/1.1 200 ${'x'.repeat(9000)}`),
    status: 502,
    logged: /upstream sent too big header/,
  },
  {
    what: 'sends a field that is none',
    does: says(`${OK}no colon here\r\n\r\n`),
    status: 502,
    logged: /upstream sent invalid header/,
  },
  {
    what: 'sends a length that is none',
    does: says(`${OK}Content-Length: five\r\n\r\n`),
    status: 502,
    logged: /upstream sent invalid "Content-Length" header/,
  },
  {
    what: 'sends more than it said',
    does: says(`${OK}Content-Length: 4\r\n\r\nsome and more`),
    status: 200,
    logged: /upstream sent more data than specified in "Content-Length" header/,
  },
  {
    what: 'sends interim responses without end',
    does: says('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)),
    status: 502,
    logged: /upstream sent too many interim responses/,
  },
  {
    what: 'sends hints without end',
    does: says('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(100)),
    status: 502,
    logged: /upstream sent too many interim responses/,
  },
  { what: 'says nothing', does: () => {}, status: 504, logged: /upstream timed out .* while reading response header/ },
  {
    what: 'stops within the head',
    does: says(`${OK}A: b\r\n`),
    status: 504,
    logged: /upstream timed out .* while reading response header/,
  },
  {
    what: 'stops within the body',
    does: says(`${OK}Content-Length: 5\r\n\r\nsom`),
    status: 0,
    logged: /upstream timed out .* while reading upstream/,
  },
]

test('each fault of an upstream has its answer and its line in the log', async t => {
  let does = faults[0]!.does
  const up = await origin(t, (_request, socket) => does(socket))
  const server = await serveHttp(
    t,
    'location / { proxy_pass http://up; proxy_read_timeout 1s; early_hints 1; }',
    `upstream up { server ${up.path}; }`,
  )
  mkdirSync(join(server.dir, 'proxy_temp'))
  let logRead = 0
  for (const fault of faults) {
    await t.test(fault.what, async t => {
      does = fault.does
      const client = await raw(t, server.port)
      await client.send(GET)
      if (fault.status === 0) {
        await assert.rejects(async () => {
          let response = await client.response()
          while (response.status < 200) response = await client.response()
        })
        // Not a byte more than came, and nothing that looks like an end.
        assert.equal(client.ended, true)
        assert.doesNotMatch(client.received.toString('latin1'), /HTTP\/1\.1 5|0\r\n\r\n$/)
      } else {
        let response = await client.response()
        while (response.status < 200) response = await client.response()
        assert.equal(response.status, fault.status)
        if (fault.status === 200) assert.equal(response.text, 'some')
      }
      await eventually(() => assert.match(server.errorLog().slice(logRead), fault.logged) ?? true)
      logRead = server.errorLog().length
    })
  }
})

test('a fault before the head leads to the next upstream, one behind it never does', async t => {
  let does = faults[0]!.does
  const bad = await origin(t, (_request, socket) => does(socket))
  const good = await origin(t, () => reply('good'))
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://up; proxy_read_timeout 1s;
       proxy_next_upstream error timeout invalid_header; }`,
    `upstream up { server ${bad.path} max_fails=0; server ${good.path} backup; }`,
  )
  for (const fault of faults) {
    if (fault.status === 200) continue
    does = fault.does
    const client = await raw(t, server.port)
    await client.send(GET)
    if (fault.status === 0) await assert.rejects(client.response(), fault.what)
    else assert.equal((await client.response()).text, 'good', fault.what)
  }
})

for (const buffering of ['on', 'off'] as const) {
  test(`what came before a fault reaches a slow client to its last byte, buffering ${buffering}`, async t => {
    const most = HUGE.subarray(0, 6_000_000)
    const up = await origin(t, (_request, socket) => {
      socket.write(`${OK}Content-Length: ${HUGE.length}\r\n\r\n`)
      socket.end(most)
    })
    const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; proxy_buffering ${buffering}; }`)
    mkdirSync(join(server.dir, 'proxy_temp'))
    const client = await raw(t, server.port)
    client.pause()
    await client.send(GET)
    if (buffering === 'on') await eventually(() => /prematurely closed/.test(server.errorLog()))
    client.resume()
    const received = await client.closed()
    assert.equal(received.length - received.indexOf('\r\n\r\n') - 4, most.length)
    await eventually(() => /prematurely closed connection while reading upstream/.test(server.errorLog()))
  })
}

/** A client that leaves at one step of its request. */
const departures: readonly { readonly what: string; readonly sent: string; readonly after?: string }[] = [
  { what: 'within the request line', sent: 'GET / HT' },
  { what: 'within the head', sent: 'GET / HTTP/1.1\r\nHost' },
  { what: 'within the body', sent: 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc' },
  { what: 'within a chunk', sent: 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc' },
  {
    what: 'within a body that goes on as it comes',
    sent: 'POST /streamed HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc',
  },
  { what: 'before the answer', sent: 'GET /silent HTTP/1.1\r\nHost: h\r\n\r\n' },
  { what: 'within the answer', sent: 'GET /half HTTP/1.1\r\nHost: h\r\n\r\n', after: 'half' },
  {
    what: 'within an answer that is not buffered',
    sent: 'GET /half/unbuffered HTTP/1.1\r\nHost: h\r\n\r\n',
    after: 'half',
  },
  { what: 'without reading a large one', sent: 'GET /large HTTP/1.1\r\nHost: h\r\n\r\n' },
  {
    what: 'within a tunnel',
    sent: 'GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    after: 'tunnelled',
  },
]

function answer(request: OriginRequest, socket: net.Socket): string | Buffer | void {
  const { target } = request
  if (target.startsWith('/half')) return `${OK}Content-Length: 9\r\n\r\nhalf`
  if (target === '/large') return whole(LARGE)
  if (target === '/huge') return whole(HUGE)
  if (target === '/upgrade')
    return `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\ntunnelled`
  if (target.startsWith('/fault/')) return faults[Number(target.slice(7))]!.does(socket)
  return target === '/silent' ? undefined : reply()
}

const LOCATIONS = `
  proxy_read_timeout 150ms;
  location / { proxy_pass http://up; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }
  location /streamed { proxy_pass http://up; proxy_request_buffering off; }
  location /half/unbuffered { proxy_pass http://up; proxy_buffering off; }
  location /stored { proxy_pass http://up; proxy_store kept/$arg_n; }`

for (const how of ['closes', 'resets'] as const) {
  test(`a client that ${how} at any step takes its upstream’s connection along`, async t => {
    const up = await origin(t, answer)
    const server = await serveHttp(
      t,
      LOCATIONS.replaceAll('150ms', '60s'),
      `upstream up { server ${up.path}; keepalive 0; }`,
    )
    mkdirSync(join(server.dir, 'proxy_temp'))
    for (const { what, sent, after } of departures) {
      await t.test(what, async t => {
        const client = await raw(t, server.port)
        client.socket.on('error', () => {})
        if (what.startsWith('without reading')) client.pause()
        const before = up.requests.length
        await client.send(sent)
        if (after !== undefined) await client.until(after)
        else if (sent.includes('/silent') || sent.includes('/large'))
          await eventually(() => up.requests.length > before)
        else if (sent.includes('/streamed')) await eventually(() => up.open.size === 1)
        if (how === 'closes') client.destroy()
        else client.reset()
        await eventually(() => up.open.size === 0)
        assert.equal((await get(server.port)).status, 200)
      })
    }
    assert.doesNotMatch(server.errorLog(), /\[(crit|alert|emerg)\]/)
    await eventually(() => readdirSync(join(server.dir, 'proxy_temp')).length === 0)
  })
}

// ── nothing is left ────────────────────────────────────────────────────────────────────────────────────────────────

function armedTimers(): number {
  const { buckets } = timers as unknown as { buckets: readonly { deadline: number; next: any }[] }
  let count = 0
  for (const ring of buckets) for (let one = ring.next; one !== ring; one = one.next) if (one.deadline !== 0) count++
  return count
}

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

async function bytesHeld(): Promise<number> {
  for (let turn = 0; turn < 4; turn++) {
    collect()
    await new Promise(setImmediate)
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

test('after thousands of faulty requests descriptors, timers and bytes are where they were', async t => {
  const up = await origin(t, answer)
  const server = await serveHttp(t, LOCATIONS, `upstream up { server ${up.path} max_fails=0; keepalive 4; }`, {
    connectionsMax: 4000,
  })
  mkdirSync(join(server.dir, 'proxy_temp'))
  // Those that wait for a timeout would take minutes.
  const quick = faults.map((_, i) => i).filter(i => faults[i]!.status !== 504 && !faults[i]!.what.startsWith('stops'))
  const ask = async (turn: number): Promise<void> => {
    const client = new RawClient(server.port)
    client.socket.on('error', () => {})
    await client.connected
    if (turn % 3 === 0) {
      const { sent, after } = departures[(turn / 3) % departures.length]!
      if (sent.includes('/large')) client.pause()
      await client.send(sent).catch(() => {})
      if (after !== undefined) await client.until(after).catch(() => {})
      if (turn % 2 === 0) client.reset()
      else client.destroy()
      return
    }
    const fault = quick[turn % quick.length]!
    await client.send(GET.replace('/ ', `/fault/${fault} `)).catch(() => {})
    await client.closed()
    client.destroy()
  }
  const run = async (count: number): Promise<void> => {
    let turn = 0
    const loop = async (): Promise<void> => {
      while (turn < count) await ask(turn++)
    }
    await Promise.all(Array.from({ length: 12 }, loop))
    // What is left are the idle connections of the group.
    await eventually(() => up.open.size <= 4)
    up.requests.length = 0
  }
  await run(900)
  const descriptors = readdirSync('/proc/self/fd').length
  const armed = armedTimers()
  const bytes = await bytesHeld()
  await run(2700)
  await eventually(() => readdirSync('/proc/self/fd').length <= descriptors + 4)
  await eventually(() => armedTimers() <= armed + 4)
  const grown = (await bytesHeld()) - bytes
  t.diagnostic(`${descriptors} descriptors, ${armed} timers, ${grown} bytes more`)
  assert.ok(grown < 3_000_000, `${grown} bytes more`)
  await eventually(() => readdirSync(join(server.dir, 'proxy_temp')).length === 0)
})

// ── a full disk ────────────────────────────────────────────────────────────────────────────────────────────────────

const isRoot = process.getuid?.() === 0
const skip = isRoot ? false : 'a small file system can be mounted by root only'
if (!isRoot) console.error('SKIPPED: what a full disk does to buffered responses, uploads and stored files needs root')

/** Null where even root may not mount, as in most containers: then the test is skipped. */
function smallDisk(t: test.TestContext): string | null {
  const dir = join(process.cwd(), `.small-disk-${process.pid}-${Math.random().toString(36).slice(2)}`)
  mkdirSync(dir)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=1777', 'tmpfs', dir], { stdio: 'pipe' })
  } catch {
    execFileSync('rmdir', [dir])
    t.skip('a small file system cannot be mounted: root lacks the right to')
    return null
  }
  atEnd(t, () => {
    execFileSync('umount', ['-l', dir])
    execFileSync('rmdir', [dir])
  })
  return dir
}

test(
  'a full disk: a response waits at its upstream instead, an upload is a 500, nothing is stored',
  { skip },
  async t => {
    const dir = smallDisk(t)
    if (dir === null) return
    const up = await origin(t, answer)
    const server = await serve(
      t,
      `http { client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/temp; client_max_body_size 10m;
       server { listen 127.0.0.1:%%PORT_0%%;
         location / { proxy_pass http://${up.path}; proxy_buffers 2 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 64k; }
         location /large/kept { proxy_pass http://${up.path}/large; proxy_store ${dir}/kept; } } }`,
    )
    const client = await raw(t, server.port)
    client.pause()
    await client.send('GET /huge HTTP/1.1\r\nHost: h\r\n\r\n')
    await eventually(() => /\[crit\].*response could not be buffered/.test(server.errorLog()))
    client.resume()
    assert.ok((await client.response()).body.equals(HUGE))
    await eventually(() => readdirSync(join(dir, 'temp')).length === 0)

    const upload = await raw(t, server.port)
    upload.socket.on('error', () => {})
    upload.socket.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${LARGE.length}\r\n\r\n`)
    upload.socket.write(LARGE)
    assert.equal((await upload.response()).status, 500)
    await eventually(() => /\[crit\].*client request body could not be stored/.test(server.errorLog()))
    await eventually(() => readdirSync(join(dir, 'body')).length === 0)

    assert.ok((await get(server.port, '/large/kept')).body.equals(LARGE))
    const full = /\[crit\].*write\(\) failed \(28: No space left on device\)/
    await eventually(() => full.test(server.errorLog()))
    await eventually(() => readdirSync(dir).sort().join() === 'body,temp')
    assert.equal((await get(server.port)).status, 200)
  },
)
