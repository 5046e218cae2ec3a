import assert from 'node:assert/strict'
import test from 'node:test'
import { datagramClient, datagramPeer } from '../helpers/datagrams.ts'
import { eventually, serve } from '../helpers/index.ts'

test('with reuseport every client’s datagrams stay together, whichever thread has them, before and after reloads', async t => {
  const echo = await datagramPeer(t)
  const conf = (threads: number, reuseport: string, answer: string): string => `
    worker_processes ${threads}; error_log error.log info; events { }
    stream {
      server { listen 127.0.0.1:%%PORT_0%% udp ${reuseport}; proxy_pass 127.0.0.1:${echo.port}; }
      server { listen 127.0.0.1:%%PORT_1%% udp ${reuseport}; return ${answer}; }
    }`
  const server = await serve(t, conf(3, 'reuseport', 'first'))
  const [proxied, told] = server.ports as [number, number]
  const check = async (label: string): Promise<void> => {
    const clients = await Promise.all(Array.from({ length: 24 }, () => datagramClient(t, proxied)))
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(clients.map((client, i) => client.ask(`${label}${round} of ${i}`)))
      assert.deepEqual(
        answers,
        clients.map((_, i) => `${label}${round} of ${i}`.toUpperCase()),
      )
    }
    for (const i of clients.keys()) {
      const heard = echo.heard.filter(({ text }) => text.startsWith(label) && text.endsWith(` of ${i}`))
      assert.equal(heard.length, 3)
      assert.equal(new Set(heard.map(({ from }) => from)).size, 1, `client ${i} of ${label} has one session`)
    }
  }
  await check('one')
  const threadsOf = (): number =>
    new Set([...server.errorLog().matchAll(/#(\d+): \*\d+ udp client/g)].map(([, id]) => id)).size
  assert.ok(threadsOf() > 1, 'several threads have served')
  // Fewer sockets, one, and several again: nobody is left to one that nobody reads.
  let [generation, threadsBefore, gone] = [0, 3, 0]
  for (const [threads, reuseport] of [
    [2, 'reuseport'],
    [2, ''],
    [3, 'reuseport'],
  ] as const) {
    generation++
    await server.reload(conf(threads, reuseport, `g${generation}`))
    // An old thread may read until it is told to go.
    gone += threadsBefore
    threadsBefore = threads
    await eventually(() => server.errorLog().match(/worker process \d+ exited with code 0/g)?.length === gone)
    assert.equal(await (await datagramClient(t, told)).ask('?'), `g${generation}`)
    await check(`after${generation}`)
  }
  assert.doesNotMatch(server.errorLog(), /\[(?:emerg|alert)\]/)
})
