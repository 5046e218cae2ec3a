// TLS connections of ours at both ends, in one process: what a real client would hardly ever do, and what is given back.

import assert from 'node:assert/strict'
import { dlopen } from 'node:ffi'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { accepted, connect, type Connection, type ConnectionHandler } from '../../src/net/connection.ts'
import { TlsContext } from '../../src/net/openssl/context.ts'
import { openssl } from '../../src/net/openssl/library.ts'
import { readChain } from '../../src/net/openssl/pem.ts'
import { storeSessions } from '../../src/net/openssl/server-sessions.ts'
import { acceptTls, connectTls, type TlsConnection } from '../../src/net/tls.ts'
import { certificate } from '../helpers/certificates.ts'
import { eventually, tempDir } from '../helpers/index.ts'

function serverContext(t: TestContext): TlsContext {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const context = new TlsContext()
  const chain = readChain(readFileSync(join(dir, 'a.crt'), 'latin1'))
  context.useCertificate(chain, 'a.crt')
  for (const one of chain) openssl().X509_free(one)
  context.useKey(readFileSync(join(dir, 'a.key'), 'latin1'), [], 'a.key')
  return context
}

/** Notes what it is told. */
class Notes implements ConnectionHandler {
  connection!: TlsConnection
  readonly secured = Promise.withResolvers<void>()
  readonly ended = Promise.withResolvers<void>()
  readonly closed = Promise.withResolvers<void>()
  isClosed = false
  received = ''
  onChunk: (chunk: Buffer) => void = () => {}
  onData(chunk: Buffer): void {
    this.received += chunk.toString('latin1')
    this.onChunk(chunk)
  }
  onEnd(): void {
    this.ended.resolve()
  }
  onDrain(): void {}
  onClose(): void {
    this.isClosed = true
    this.closed.resolve()
  }
}

/** A server whose first client is noted. */
async function listening(t: TestContext, context: TlsContext): Promise<{ port: number; notes: Notes }> {
  const notes = new Notes()
  const server = net.createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const handle = (server as unknown as { _handle: { onconnection: (status: number, client: unknown) => void } })._handle
  handle.onconnection = (_status, client) => {
    const settings = { context, bufferSize: 16384 }
    const plain: Connection = accepted(client, {
      onData(chunk) {
        notes.connection = acceptTls(plain, chunk, settings, notes, notes.secured.resolve, false)
      },
      onEnd: () => plain.destroy(),
      onDrain: () => {},
      onClose: () => {},
    })
    t.after(() => plain.destroy())
  }
  t.after(() => server.close())
  return { port: (server.address() as net.AddressInfo).port, notes }
}

test('records behind a pause are read before the end that has come behind them', async t => {
  const { port, notes } = await listening(t, serverContext(t))
  // Whoever reads stops after each record, and goes on when a timer says so: the end may be heard of first.
  notes.onChunk = () => {
    notes.connection.pause()
    setTimeout(() => notes.connection.resume(), 5)
  }
  const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(client, 'secureConnect')
  client.setMaxSendFragment(512)
  const text = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(512)).join('')
  client.end(text)
  client.resume()
  await notes.ended.promise
  assert.equal(notes.received, text)
  client.destroy()
})

test('who wants answers and takes none is cut off', async t => {
  const { port, notes } = await listening(t, serverContext(t))
  const { functions } = dlopen(null, {
    SSL_key_update: { arguments: ['pointer', 'i32'], return: 'i32' },
  }) as unknown as {
    functions: { SSL_key_update(ssl: bigint, type: number): number }
  }
  const mine = new Notes()
  const plain = connect({ host: '127.0.0.1', port }, mine, () => {
    mine.connection = connectTls(plain, new TlsContext(), '', null, mine, mine.secured.resolve)
  })
  t.after(() => plain.destroy())
  await Promise.all([notes.secured.promise, mine.secured.promise])
  mine.connection.pause()
  // More than the kernel holds for us.
  for (let i = 0; i < 32; i++) notes.connection.write(Buffer.alloc(1 << 20))
  await eventually(() => notes.connection.pending > 0)
  const UPDATE_REQUESTED = 1
  const ask = (): void => {
    for (let i = 0; i < 100 && !mine.isClosed; i++) {
      assert.equal(functions.SSL_key_update(mine.connection.pointer, UPDATE_REQUESTED), 1)
      mine.connection.write(Buffer.from('x'))
    }
  }
  for (let i = 0; i < 50 && !notes.isClosed && !mine.isClosed; i++) {
    ask()
    await new Promise(setImmediate)
  }
  await notes.closed.promise
})

test('of sessions that tickets hold, none is stored', async t => {
  for (const [version, tickets, stored] of [
    ['TLSv1.3', true, false],
    ['TLSv1.3', false, true],
    ['TLSv1.2', false, true],
  ] as const) {
    const context = serverContext(t)
    let saved = 0
    if (!tickets) context.setOptions(1n << 14n)
    storeSessions(context, { save: () => void saved++, load: () => null, remove: () => {} }, -1)
    const { port, notes } = await listening(t, context)
    const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion: version })
    client.write('x')
    await once(client, 'secureConnect')
    await eventually(() => notes.received === 'x')
    assert.equal(saved > 0, stored, `${version} ${tickets}`)
    client.destroy()
  }
})
