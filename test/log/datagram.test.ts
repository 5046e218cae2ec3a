// Datagrams to somebody who is not there, from a thread.

import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { DatagramSocket } from '../../src/log/datagram.ts'
import { atEnd, eventually } from '../helpers/index.ts'

const source = new URL('../../src/log/datagram.ts', import.meta.url).href

test('a thread whose datagrams are refused opens and closes its socket without a warning', async () => {
  const code = `import { parentPort } from 'node:worker_threads'
    const { DatagramSocket } = await import(${JSON.stringify(source)})
    const warnings = []
    process.on('warning', warning => warnings.push(warning.message))
    const socket = new DatagramSocket({ path: '/nowhere/at/all' })
    const sent = [socket.send(Buffer.from('a')), socket.send(Buffer.from('b'))]
    socket.close()
    setImmediate(() => parentPort.postMessage({ sent, warnings: warnings.filter(text => text.includes('descriptor')) }))`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [] })
  const [told] = (await once(worker, 'message')) as [unknown]
  await worker.terminate()
  assert.deepEqual(told, { sent: [false, false], warnings: [] })
})

test('what is sent behind a datagram that nobody has taken is not lost', async t => {
  const before = dgram.createSocket('udp4')
  before.bind(0, '127.0.0.1')
  await once(before, 'listening')
  const { port } = before.address()
  before.close()
  await once(before, 'close')
  const socket = new DatagramSocket({ ip: '127.0.0.1', port })
  assert.equal(socket.send(Buffer.from('refused')), true)
  const heard: string[] = []
  const server = dgram.createSocket('udp4', bytes => void heard.push(bytes.toString()))
  atEnd(t, () => void server.close())
  server.bind(port, '127.0.0.1')
  await once(server, 'listening')
  assert.equal(socket.send(Buffer.from('taken')), true)
  socket.close()
  await eventually(() => heard.includes('taken'))
})
