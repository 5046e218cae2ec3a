// Connections of the control interface: bytes in any pieces, broken messages, and the bounds of everything.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { encodeMessage, MessageReader } from '../../src/codec/control.ts'
import type { Message } from '../../src/codec/control.ts'
import { ControlClient, ControlError } from '../../src/control/client.ts'
import { ControlServer } from '../../src/control/server.ts'
import type { Limits } from '../../src/control/server.ts'
import { listenQueue } from '../../src/process/libc.ts'
import { bindUnix } from '../../src/process/sockets.ts'
import { atEnd } from '../helpers/scope.ts'
import type { Scope } from '../helpers/scope.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { program } from './program.ts'
import type { Noted } from './program.ts'

const LIMITS: Limits = { connections: 3, message: 1000, idleMs: 60_000, messageMs: 60_000, sendMs: 60_000 }

interface Serving {
  readonly path: string
  readonly server: ControlServer
  readonly program: Noted
}

function serving(t: Scope, limits: Partial<Limits> = {}): Serving {
  const path = join(tempDir(t), 'a.ctl')
  const fd = bindUnix(path, 0o600)
  assert.ok(listenQueue(fd, 16))
  const one = program()
  const server = new ControlServer(fd, one, { ...LIMITS, ...limits })
  atEnd(t, () => server.close())
  return { path, server, program: one }
}

class Client {
  readonly socket: net.Socket
  readonly closed: Promise<void>
  private readonly reader = new MessageReader(1_000_000)

  constructor(path: string) {
    this.socket = net.connect({ path })
    this.socket.on('error', () => {})
    this.closed = new Promise(resolve => this.socket.once('close', () => resolve()))
  }

  async answer(): Promise<Message> {
    for (;;) {
      const message = this.reader.next()
      if (message !== null) return message
      const [bytes] = (await once(this.socket, 'data')) as [Buffer]
      this.reader.push(bytes)
    }
  }
}

function connect(t: Scope, path: string): Client {
  const client = new Client(path)
  atEnd(t, () => void client.socket.destroy())
  return client
}

const SHOW = encodeMessage({ id: 1, command: 'show workers', args: [] })

test('a command byte by byte, and several in one piece, are answered in their order', async t => {
  const { path } = serving(t)
  const slow = connect(t, path)
  for (const byte of SHOW) {
    await new Promise(resolve => slow.socket.write(Buffer.from([byte]), resolve))
  }
  assert.equal(((await slow.answer())['data'] as any).count, 2)
  const fast = connect(t, path)
  fast.socket.write(Buffer.concat([1, 2, 3].map(id => encodeMessage({ id, command: 'show stats' }))))
  for (const id of [1, 2, 3]) assert.equal((await fast.answer())['id'], id)
})

test('who has said all has all answered, and the connection ends', async t => {
  const { path } = serving(t)
  const client = connect(t, path)
  client.socket.end(Buffer.concat([SHOW, SHOW]))
  assert.equal((await client.answer())['status'], 'ok')
  assert.equal((await client.answer())['status'], 'ok')
  await client.closed
})

test('a broken message ends its connection only', async t => {
  const { path } = serving(t)
  const broken = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([0, 0, 3, 233]),
    Buffer.from('\0\0\0\x02{]', 'latin1'),
    Buffer.from('\0\0\0\x02[]', 'latin1'),
    encodeMessage({ command: ['show'] }),
    encodeMessage({ command: 'show', args: 'all' }),
  ]
  const other = connect(t, path)
  for (const bytes of broken) {
    const client = connect(t, path)
    client.socket.resume()
    client.socket.write(bytes)
    await client.closed
  }
  other.socket.write(SHOW)
  assert.equal((await other.answer())['status'], 'ok')
})

test('one connection too many is closed', async t => {
  const { path } = serving(t)
  const clients = [connect(t, path), connect(t, path), connect(t, path)]
  for (const client of clients) {
    client.socket.write(SHOW)
    await client.answer()
  }
  const late = connect(t, path)
  late.socket.resume()
  await late.closed
  clients[0]!.socket.destroy()
  await clients[0]!.closed
})

test('half a message is waited for only so long, whatever drips in', async t => {
  const { path } = serving(t, { messageMs: 300 })
  const client = connect(t, path)
  client.socket.resume()
  const drip = setInterval(() => client.socket.write(' '), 50)
  client.socket.write(Buffer.from([0, 0, 3, 0]))
  await client.closed
  clearInterval(drip)
})

test('an idle connection is closed after a while', async t => {
  const { path } = serving(t, { idleMs: 100 })
  const client = connect(t, path)
  client.socket.resume()
  await client.closed
})

test('who takes no answers is given no more of them', async t => {
  const { path } = serving(t, { sendMs: 200 })
  const client = connect(t, path)
  client.socket.pause()
  const many = Buffer.concat(Array.from({ length: 20_000 }, () => SHOW))
  client.socket.write(many)
  await client.closed
})

test('at the end what is being answered is, and others are closed', async t => {
  const { path, server } = serving(t)
  const idle = connect(t, path)
  idle.socket.write(SHOW)
  await idle.answer()
  idle.socket.resume()
  server.close()
  await idle.closed
})

test('an order is given once its answer has been sent', async t => {
  const { path, program } = serving(t)
  const client = connect(t, path)
  client.socket.write(encodeMessage({ id: 4, command: 'shutdown quick' }))
  const { data } = (await client.answer()) as any
  assert.deepEqual(data, { status: 'shutting_down', mode: 'quick' })
  client.socket.write(SHOW)
  await client.answer()
  assert.deepEqual(program.orders, ['terminate'])
})

test('fuzz: whatever bytes come, the server goes on', async t => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.trunc(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const { path } = serving(t, { connections: 100 })
  for (let round = 0; round < 150; round++) {
    const bytes = Buffer.concat(Array.from({ length: 1 + random(3) }, () => Buffer.from(SHOW)))
    for (let i = random(4); i > 0; i--) bytes[random(bytes.length)] = random(256)
    const client = connect(t, path)
    client.socket.resume()
    client.socket.end(bytes.subarray(0, random(bytes.length + 1)))
    await client.closed
  }
  const client = connect(t, path)
  client.socket.write(SHOW)
  assert.equal((await client.answer())['status'], 'ok')
})

test('the client gives commands one after the other, and tells errors', async t => {
  const { path, server } = serving(t)
  const client = new ControlClient(path)
  atEnd(t, () => client.close())
  assert.equal((await client.ask(['show', 'workers']))['count'], 2)
  await assert.rejects(client.ask(['bogus']), /^Error: Invalid argument: Unknown command: bogus$/)
  assert.deepEqual(await client.ask(['worker', 'kill', '30']), { success: true, killed: 30 })
  server.close()
  await assert.rejects(client.ask(['show', 'workers']), ControlError)
})

test('the client says why there is no server', async t => {
  const path = join(tempDir(t), 'a.ctl')
  await assert.rejects(new ControlClient(path).connect(), /no server takes commands at ".*": there is no such socket/)
  const strange = net.createServer(socket => socket.end('hello, who is there?'))
  await new Promise<void>(resolve => strange.listen(path, resolve))
  atEnd(t, () => void strange.close())
  await assert.rejects(new ControlClient(path).ask(['show', 'all']), /what answers is no control socket/)
})
