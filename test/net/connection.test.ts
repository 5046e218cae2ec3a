// A connection against node:net's own sockets as its peer.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { monotonic } from '../../src/lib/clock.ts'
import { connect, type Connection, type ConnectionHandler } from '../../src/net/connection.ts'

/** Notes what it is told. */
class Notes implements ConnectionHandler {
  readonly drained = Promise.withResolvers<void>()
  readonly closed = Promise.withResolvers<NodeJS.ErrnoException | null>()
  readonly ended = Promise.withResolvers<void>()
  received = ''
  onData(chunk: Buffer): void {
    this.received += chunk.toString('latin1')
  }
  onEnd(): void {
    this.ended.resolve()
  }
  onDrain(): void {
    this.drained.resolve()
  }
  onClose(error: NodeJS.ErrnoException | null): void {
    this.closed.resolve(error)
  }
}

interface Pair {
  readonly connection: Connection
  readonly notes: Notes
  /** The other end, which reads nothing yet. */
  readonly peer: net.Socket
}

async function pair(t: TestContext): Promise<Pair> {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const notes = new Notes()
  const stands = Promise.withResolvers<ConnectionHandler>()
  const accepted = once(server, 'connection')
  const { port } = server.address() as AddressInfo
  const connection = connect({ host: '127.0.0.1', port }, notes, stands.resolve)
  const [peer] = (await accepted) as [net.Socket]
  peer.on('error', () => {})
  t.after(() => {
    connection.destroy()
    peer.destroy()
    server.close()
  })
  assert.equal(await stands.promise, notes)
  return { connection, notes, peer }
}

async function readAll(peer: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  peer.on('data', (chunk: Buffer) => chunks.push(chunk))
  peer.resume()
  await once(peer, 'end')
  return Buffer.concat(chunks)
}

/** More than any kernel takes of a peer that does not read. */
const PIECE = 1 << 20
const PIECES = 24

test('what the kernel takes at once leaves nothing pending', async t => {
  const { connection, peer } = await pair(t)
  assert.equal(connection.writeText('one '), true)
  assert.equal(connection.write(Buffer.from('two ')), true)
  assert.equal(connection.writeAll('three ', Buffer.from('four '), 'five', false), true)
  assert.equal(connection.pending, 0)
  assert.equal(connection.bytesOut, 'one two three four five'.length)
  connection.shutdown()
  assert.equal((await readAll(peer)).toString(), 'one two three four five')
})

test('text, bytes and text again keep their order when the peer is slow, and the drain is told', async t => {
  const { connection, notes, peer } = await pair(t)
  let expected = ''
  let taken = true
  for (let i = 0; i < PIECES; i++) {
    const piece = String.fromCharCode(97 + i).repeat(PIECE)
    expected += piece
    taken = i % 3 === 1 ? connection.write(Buffer.from(piece, 'latin1')) : connection.writeText(piece)
  }
  assert.equal(taken, false)
  assert.ok(connection.pending > 0)
  const all = readAll(peer)
  await notes.drained.promise
  assert.equal(connection.pending, 0)
  connection.shutdown()
  assert.ok((await all).equals(Buffer.from(expected, 'latin1')))
})

test('text that is still on its way when the sending side is closed arrives', async t => {
  const { connection, peer } = await pair(t)
  for (let i = 0; i < PIECES; i++) connection.writeText('x'.repeat(PIECE))
  assert.ok(connection.pending > 0)
  connection.shutdown()
  assert.equal((await readAll(peer)).length, PIECE * PIECES)
})

test('text for a peer that has reset the connection ends in its error', async t => {
  const { connection, notes, peer } = await pair(t)
  for (let i = 0; i < PIECES; i++) connection.writeText('x'.repeat(PIECE))
  peer.resetAndDestroy()
  const error = await notes.closed.promise
  assert.match(error?.code ?? 'none', /^(ECONNRESET|EPIPE)$/)
  assert.equal(connection.closed, true)
  // Nobody hears of what is written now, and nothing breaks.
  connection.writeText('more')
})

test('a connection that is destroyed with text on its way closes without an error', async t => {
  const { connection, notes } = await pair(t)
  for (let i = 0; i < PIECES; i++) connection.writeText('x'.repeat(PIECE))
  connection.destroy()
  assert.equal(await notes.closed.promise, null)
})

test('what is written before the connection stands is sent when it does', async t => {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection')
  const connection = connect({ host: '127.0.0.1', port }, new Notes(), () => {})
  connection.writeText('early')
  connection.shutdown()
  const [peer] = (await accepted) as [net.Socket]
  t.after(() => {
    connection.destroy()
    peer.destroy()
    server.close()
  })
  assert.equal((await readAll(peer)).toString(), 'early')
})

test("the peer's data, end and name are told", async t => {
  const { connection, notes, peer } = await pair(t)
  peer.end('hello')
  await notes.ended.promise
  assert.equal(notes.received, 'hello')
  assert.equal(connection.bytesIn, 5)
  const { address, port } = connection.peerName()
  assert.deepEqual([address, port], [peer.localAddress, peer.localPort])
})

test('a refused connection is told as its error', async () => {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const notes = new Notes()
  connect({ host: '127.0.0.1', port }, notes, () => {})
  assert.equal((await notes.closed.promise)?.code, 'ECONNREFUSED')
})

test('time stands still while a chunk is taken, and only then', async t => {
  const { connection, notes, peer } = await pair(t)
  const taken = Promise.withResolvers<number[]>()
  notes.onData = () => {
    const times = [monotonic(), monotonic()]
    const start = performance.now()
    while (performance.now() - start < 2);
    taken.resolve([...times, monotonic()])
    connection.pause()
  }
  peer.write('x')
  const [first, second, third] = await taken.promise
  assert.deepEqual([second, third], [first, first])
  assert.ok(monotonic() >= first! + 2)
})
