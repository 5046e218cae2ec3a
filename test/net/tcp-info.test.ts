// What the kernel tells of TCP sockets.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { BACKLOGGED, isListening, tcpInfo } from '../../src/net/tcp-info.ts'

test('of a listening socket, how many connections nobody has accepted', async t => {
  const server = net.createServer(socket => socket.on('error', () => {}))
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle
  assert.ok(isListening(fd))
  assert.equal(tcpInfo(fd, BACKLOGGED), 0)
  // Nothing is accepted while this thread waits for another program.
  const { port } = server.address() as net.AddressInfo
  const code = `const s = require('net').connect(${port}, '127.0.0.1', () => process.exit())`
  for (let i = 0; i < 2; i++) execFileSync(process.execPath, ['-e', code])
  assert.equal(tcpInfo(fd, BACKLOGGED), 2)
})

test('what is no listening socket of TCP', () => {
  assert.equal(isListening(-1), false)
  assert.equal(isListening(0), false)
  assert.equal(isListening(9999), false)
})
