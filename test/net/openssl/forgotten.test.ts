// What is known of contexts goes with them: where certificates depend on the name that is asked for, there are ever new ones.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { TlsContext } from '../../../src/net/openssl/context.ts'
import { staple } from '../../../src/net/openssl/ocsp.ts'
import { storeSessions } from '../../../src/net/openssl/server-sessions.ts'
import { sealTickets } from '../../../src/net/openssl/tickets.ts'
import { connectTls } from '../../../src/net/tls.ts'
import { connect, type Connection, type ConnectionHandler } from '../../../src/net/connection.ts'
import { eventually } from '../../helpers/eventually.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const nothing = (): void => {}

/** A context, and who would be asked in its handshakes. */
function knownContext(): { readonly context: TlsContext; readonly asked: readonly WeakRef<object>[] } {
  const context = new TlsContext()
  const [keys, store, response] = [() => [], { save: nothing, load: () => null, remove: nothing }, () => null]
  sealTickets(context, keys)
  storeSessions(context, store, -1)
  staple(context, 1n, response)
  return { context, asked: [keys, store, response].map(one => new WeakRef(one)) }
}

test('what is known of a context goes with it', async () => {
  const { asked } = knownContext()
  await eventually(() => {
    collectGarbage()
    return asked.every(one => one.deref() === undefined)
  })
})

test('as long as there is a connection nothing of its context goes', async t => {
  const silent = net.createServer()
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  t.after(() => silent.close())
  const address = { host: '127.0.0.1', port: (silent.address() as net.AddressInfo).port }
  const connecting = Promise.withResolvers<void>()
  const plain = connect(address, handler, () => connecting.resolve())
  t.after(() => plain.destroy())
  await connecting.promise
  const { connection, asked } = began(plain)
  for (let i = 0; i < 5; i++) {
    collectGarbage()
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.ok(asked.every(one => one.deref() !== undefined))
  connection.destroy()
  await eventually(() => {
    collectGarbage()
    return connection.closed
  })
})

const handler: ConnectionHandler = { onData: nothing, onEnd: nothing, onDrain: nothing, onClose: nothing }

/** A handshake that nobody answers. */
function began(plain: Connection): { readonly connection: Connection; readonly asked: readonly WeakRef<object>[] } {
  const { context, asked } = knownContext()
  return { connection: connectTls(plain, context, '', null, handler, nothing, []), asked }
}
