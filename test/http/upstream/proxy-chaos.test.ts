// Many requests at once to upstreams that do everything wrong, from one seed: every answer is the right one, an error
// page, or cut off; never a wrong one, and nothing is left hanging.

import assert from 'node:assert/strict'
import type net from 'node:net'
import test from 'node:test'
import { eventually, origin, RawClient, requestBytes, serve } from '../../helpers/index.ts'
import type { OriginRequest } from '../../helpers/index.ts'

const REQUESTS = 1500
const CLIENTS = 24

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
let state = seed
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
  return (state >> 8) % below
}

/** What the answer to a target is, for whoever asks. */
function bodyFor(target: string): string {
  return `<${target}>`.repeat(1 + (Number(target.slice(1)) % 7) ** 4)
}

function misbehave(request: OriginRequest, socket: net.Socket): void {
  const body = bodyFor(request.target)
  const length = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`
  const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  switch (random(14)) {
    case 0:
      return void socket.destroy()
    case 1:
      return void socket.resetAndDestroy()
    case 2:
      return void socket.end(length.slice(0, random(length.length)))
    case 3:
      return void socket.end(length + body.slice(0, random(body.length)))
    case 4:
      return void socket.write(`${length}${body}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong`)
    case 5:
      return void socket.write('garbage\r\n\r\n')
    case 6:
      return void socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${body}`)
    case 7: {
      const cut = random(chunked.length)
      socket.write(chunked.slice(0, cut))
      return void setTimeout(() => socket.write(chunked.slice(cut)), random(5))
    }
    case 8:
      socket.write(length + body)
      return void setTimeout(() => socket.destroy(), random(4))
    case 9:
      return void socket.write(`HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n`)
    default:
      return void socket.write(random(2) === 0 ? chunked : length + body)
  }
}

test('upstreams that fail at random never make a wrong answer', async t => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const ups = await Promise.all([0, 1, 2].map(() => origin(t, misbehave)))
  const server = await serve(
    t,
    `http { proxy_temp_path %%DIR%%/temp;
       upstream u { ${ups.map(up => `server ${up.path} max_fails=0;`).join('')} keepalive 8; }
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; proxy_next_upstream error timeout invalid_header http_503; proxy_read_timeout 60s; } } }`,
  )
  const counts = { right: 0, refused: 0, cut: 0 }
  let next = 0
  const run = async (): Promise<void> => {
    let client: RawClient | null = null
    while (next < REQUESTS) {
      const target = `/${next++}`
      const current: RawClient = client ?? new RawClient(server.port)
      client = current
      await current.connected
      await current.send(requestBytes({ path: target }))
      // Some do not wait for the answer.
      if (random(20) === 0) {
        current.destroy()
        client = null
        continue
      }
      try {
        const response = await current.response()
        if (response.status === 200) {
          assert.equal(response.text, bodyFor(target))
          counts.right++
        } else {
          assert.ok([502, 503].includes(response.status), String(response.status))
          counts.refused++
        }
        if (current.ended || response.header('connection') === 'close') {
          current.destroy()
          client = null
        }
      } catch (error) {
        if ((error as Error).name === 'AssertionError' || !current.ended) throw error
        counts.cut++
        current.destroy()
        client = null
      }
    }
    client?.destroy()
  }
  await Promise.all(Array.from({ length: CLIENTS }, run))
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.right > REQUESTS / 2)
  // What is left are the idle connections of the group.
  await eventually(() => ups.reduce((sum, up) => sum + up.open.size, 0) <= 8)
  assert.doesNotMatch(server.errorLog(), /\[alert\]|\[emerg\]|exited/)
})
