// Datagrams to somebody who is not there, from a thread.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { Worker } from 'node:worker_threads'

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
