// `least_time` in the stream block: what of a session is measured, and who is asked then.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { atEnd, eventually, fileScope, serve } from '../helpers/index.ts'

const scope = fileScope()

/** Says its name when it may, and hangs up. */
async function peer(name: string, may: () => Promise<void>): Promise<number> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    void may().then(() => socket.end(name))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  atEnd(scope, () => void server.close())
  return (server.address() as net.AddressInfo).port
}

/** Lets the slow one speak, in a while; one for each session. */
const releases: (() => void)[] = []
const slow = await peer('slow', () => new Promise(resolve => releases.push(() => setTimeout(resolve, 200))))
const fast = await peer('fast', () => Promise.resolve())

const servers = `server 127.0.0.1:${slow}; server 127.0.0.1:${fast};`
const server = await serve(
  scope,
  `stream {
    upstream first { least_time first_byte; ${servers} }
    upstream last { least_time last_byte inflight; ${servers} }
    upstream connect { least_time connect; ${servers} }
    server { listen 127.0.0.1:%%PORT_0%%; proxy_pass first; }
    server { listen 127.0.0.1:%%PORT_1%%; proxy_pass last; }
    server { listen 127.0.0.1:%%PORT_2%%; proxy_pass connect; }
  }`,
)

async function ask(i: number): Promise<string> {
  const socket = net.connect(server.ports[i]!, '127.0.0.1')
  socket.setEncoding('latin1')
  let answer = ''
  for await (const text of socket) answer += text as string
  return answer
}

for (const [i, what] of [
  [0, 'first byte'],
  [1, 'last byte'],
] as const) {
  test(`the upstream whose ${what} comes sooner is asked`, async () => {
    const first = net.connect(server.ports[i]!, '127.0.0.1')
    const answer = once(first, 'data') as Promise<[Buffer]>
    await eventually(() => releases.length > 0)
    assert.equal(await ask(i), 'fast')
    releases.pop()!()
    assert.equal(String((await answer)[0]), 'slow')
    await once(first.resume(), 'close')
    for (let n = 0; n < 5; n++) assert.equal(await ask(i), 'fast')
  })
}

test('those that are connected to equally soon are asked in turn', async () => {
  const both = [ask(2), ask(2)]
  await eventually(() => releases.length > 0)
  releases.pop()!()
  assert.deepEqual((await Promise.all(both)).sort(), ['fast', 'slow'])
})
