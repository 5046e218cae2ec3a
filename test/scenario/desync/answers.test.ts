// The other direction: whatever a back end answers, a client gets one whole answer or one that is cut off, and what is behind
// an answer is nobody's: no later request, of whatever client, is answered with it. The connections that stay in doubt are not
// used again.

import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { mutate, Random, seed } from '../../codec/h1/feeding.ts'
import { serveHttp } from '../../helpers/http.ts'
import { RawClient } from '../../helpers/index.ts'
import { MessageReader } from '../../helpers/message.ts'
import { atEnd } from '../../helpers/scope.ts'
import type { Scope } from '../../helpers/scope.ts'
import { answer } from './answers.ts'

const CASES = Number(process.env['DESYNC'] ?? 150)

const STAYS_MS = 15

/** Answers `/good/N` well and `/bad/N` with the bytes that are set; a connection that has been answered badly may go on. */
async function unsound(t: Scope): Promise<{ port: number; next: string; closes: boolean; faults: string[] }> {
  const sockets = new Set<net.Socket>()
  const faults: string[] = []
  const state = { port: 0, next: '', closes: false, faults }
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let reader = new MessageReader('request')
    let leaving: NodeJS.Timeout | null = null
    socket.on('data', (chunk: Buffer) => {
      let rest = chunk
      if (leaving !== null) clearTimeout(leaving)
      try {
        rest = Buffer.from(reader.feed(chunk))
      } catch (error) {
        faults.push((error as Error).message)
        socket.destroy()
        return
      }
      if (!reader.done) return
      const { target, method } = reader.request()
      reader = new MessageReader('request')
      if (rest.length > 0) faults.push('a request before its predecessor was answered')
      if (target.startsWith('/good/')) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${method === 'HEAD' ? '' : target}`)
      } else if (state.closes) socket.end(state.next, 'latin1')
      else {
        // Whoever waits for more is told that there is none.
        socket.write(state.next, 'latin1')
        leaving = setTimeout(() => void socket.end(), STAYS_MS)
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  state.port = (server.address() as net.AddressInfo).port
  return state
}

/** The final answer on the wire, null if it is cut off; and nothing behind it. */
function finalAnswer(received: Buffer, method: string, ended: boolean): { status: number; text: string } | null {
  let rest = received
  for (;;) {
    const reader = new MessageReader('response', method)
    rest = Buffer.from(reader.feed(rest))
    if (!reader.done) {
      if (reader.state !== 'until-close' || !ended) return null
      reader.end()
    }
    const { status, text } = reader.response()
    if (status < 200) continue
    assert.equal(rest.length, 0, `behind the answer: ${JSON.stringify(rest.toString('latin1'))}`)
    return { status, text }
  }
}

/** Another protocol is spoken from here on. */
function isSwitched({ received }: RawClient): boolean {
  return /^HTTP\/1.1 101 /m.test(received.toString('latin1'))
}

/** Waits for a whole answer, or the connection's end, or that of HTTP. */
async function settle(client: RawClient, method: string): Promise<void> {
  const open = (): boolean =>
    !client.ended && !isSwitched(client) && finalAnswer(client.received, method, false) === null
  for (let waited = 0; waited < 5000 && open(); waited++) await new Promise(resolve => setTimeout(resolve, 1))
}

/** Asks on a connection that has been answered whether it is in step. */
async function checkNext(client: RawClient, path: string): Promise<void> {
  client.received = Buffer.alloc(0)
  await client.send(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`).catch(() => {})
  await settle(client, 'GET')
  if (client.received.length > 0)
    assert.deepEqual(finalAnswer(client.received, 'GET', client.ended), { status: 200, text: path })
}

/** Somebody else asks. */
async function checkOther(port: number, path: string): Promise<void> {
  const other = new RawClient(port)
  await other.connected
  const { status, text } = await other.request({ path })
  other.destroy()
  assert.deepEqual({ status, text }, { status: 200, text: path })
}

const start = seed()
const UPGRADES = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;'
const LOCATIONS = [
  ['over HTTP/1.1', 'proxy_pass http://back;'],
  ['without buffers', 'proxy_pass http://back; proxy_buffering off; proxy_pass_trailers on;'],
  ['with upgrades', `proxy_pass http://back; ${UPGRADES}`],
  ['with a cache', 'proxy_pass http://back; proxy_cache z; proxy_cache_valid any 1s; proxy_cache_key $request_uri;'],
] as const

for (const [name, location] of LOCATIONS) {
  test(`no answer is smuggled past us ${name} (FUZZ_SEED=${start})`, { timeout: 120_000 + CASES * 50 }, async t => {
    const random = new Random(start)
    const back = await unsound(t)
    const server = await serveHttp(
      t,
      `location / { ${location} add_trailer X y; }`,
      `upstream back { server 127.0.0.1:${back.port} max_fails=0; keepalive 4; } proxy_cache_path cache keys_zone=z:64k;`,
    )
    let [good, cut] = [0, 0]
    for (let i = 0; i < CASES; i++) {
      const method = ['GET', 'GET', 'GET', 'HEAD', 'POST'][random.below(5)]!
      const asks = random.below(4) === 0 ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n' : ''
      const version = random.below(8) === 0 ? '1.0' : '1.1'
      back.next = answer(random)
      if (random.below(4) === 0) {
        const other = Buffer.from('HTTP/1.1 200 OK\r\n\r\n')
        back.next = mutate(Buffer.from(back.next, 'latin1'), other, random).toString('latin1')
      }
      back.closes = random.below(3) === 0
      const client = new RawClient(server.port)
      client.socket.on('error', () => {})
      await client.connected
      const [length, body] = method === 'POST' ? ['Content-Length: 3\r\n', 'abc'] : ['', '']
      await client.send(`${method} /bad/${i} HTTP/${version}\r\nHost: h\r\n${asks}${length}\r\n${body}`)
      try {
        await settle(client, method)
        if (isSwitched(client)) {
          assert.ok(location.includes('Upgrade') && asks !== '' && version === '1.1', 'nobody asked for it')
        } else if (finalAnswer(client.received, method, client.ended) === null) {
          cut++
          assert.ok(client.ended, 'no whole answer, and the connection stays open')
        } else {
          good++
          if (!client.ended) await checkNext(client, `/good/${i}.same`)
        }
        await checkOther(server.port, `/good/${i}`)
        assert.deepEqual(back.faults, [])
      } catch (error) {
        const asked = `${method} HTTP/${version} ${asks} ${back.closes ? 'closes' : 'stays'}`
        const [sent, received] = [JSON.stringify(back.next), JSON.stringify(client.received.toString('latin1'))]
        t.diagnostic(`${(error as Error).message} in case ${i}: ${asked} ${sent}\nreceived ${received}`)
        throw error
      } finally {
        client.destroy()
      }
    }
    t.diagnostic(`${good} answers, ${cut} cut off`)
  })
}
