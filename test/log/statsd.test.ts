import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import test, { type TestContext } from 'node:test'
import { Statsd } from '../../src/log/statsd.ts'
import { eventually } from '../helpers/eventually.ts'

async function listening(t: TestContext): Promise<{ port: number; datagrams: string[] }> {
  const socket = dgram.createSocket('udp4')
  const datagrams: string[] = []
  socket.on('message', bytes => void datagrams.push(bytes.toString('latin1')))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => void socket.close())
  return { port: socket.address().port, datagrams }
}

for (const host of ['127.0.0.1', 'localhost']) {
  test(`statsd: no datagram to ${host} is so long that a network would divide it, and none is lost`, async t => {
    const { port, datagrams } = await listening(t)
    const statsd = new Statsd({ host, port, path: '', prefix: 'my', tags: '' })
    t.after(() => statsd.close())
    for (let i = 0; i < 1000; i++) statsd.gauge('of.those', i)
    const lines = (): string[] => datagrams.flatMap(datagram => datagram.split('\n'))
    await eventually(() => lines().length === 1000)
    assert.deepEqual(
      lines(),
      Array.from({ length: 1000 }, (_, i) => `my.of.those:${i}|g`),
    )
    for (const datagram of datagrams) assert.ok(datagram.length <= 1432, `${datagram.length} bytes`)
  })
}

test('statsd: nothing is opened for a server whose name is known only when all is over', async t => {
  const { port, datagrams } = await listening(t)
  const statsd = new Statsd({ host: 'localhost', port, path: '', prefix: '', tags: '' })
  statsd.increment('late')
  statsd.close()
  const other = new Statsd({ host: 'localhost', port, path: '', prefix: '', tags: '' })
  t.after(() => other.close())
  other.increment('heard')
  await eventually(() => datagrams.length > 0)
  assert.deepEqual(datagrams, ['heard:1|c|@1.0'])
})
