import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import test from 'node:test'
import {
  addressOf,
  arrival,
  bindUdp,
  connectUdp,
  failureText,
  isNothing,
  ipText,
  receive,
  receiveFrom,
  send,
  sendFrom,
  tellDestinations,
  UdpWatch,
} from '../../src/net/udp-socket.ts'
import { atEnd, freePort, needsIpv6, type Scope } from '../helpers/index.ts'

interface Watched {
  readonly fd: number
  readonly watch: UdpWatch
  /** Something can be read. */
  ready(): Promise<void>
}

function watched(t: Scope, fd: number): Watched {
  assert.ok(fd >= 0, `${fd}`)
  let wake: (() => void) | null = null
  const watch = new UdpWatch(fd, () => {
    watch.pause()
    wake?.()
  })
  atEnd(t, () => watch.close())
  const ready = (): Promise<void> => {
    const woken = new Promise<void>(resolve => (wake = resolve))
    watch.resume()
    return woken
  }
  return { fd, watch, ready }
}

for (const [any, host] of [
  ['0.0.0.0', '127.0.0.5'],
  ['::', '::1'],
] as const) {
  test(`a datagram tells who has sent it and to which address, and is answered from there (${host})`, async t => {
    if (host === '::1' && !needsIpv6(t)) return
    const port = await freePort()
    const server = watched(t, bindUdp(any, port, true, false))
    tellDestinations(server.fd, any === '::')
    const client = watched(t, connectUdp({ ip: host, port }, null))
    assert.equal(send(client.fd, Buffer.from('hello')), 0)
    await server.ready()
    const bytes = receiveFrom(server.fd)
    assert.equal(String(bytes), 'hello')
    const { from, to } = arrival
    assert.equal(ipText(to), host)
    assert.equal(addressOf(from).address, host === '::1' ? '::1' : '127.0.0.1')
    assert.ok(isNothing(receiveFrom(server.fd) as number))
    // The client hears nobody but whom it has written to.
    assert.equal(sendFrom(server.fd, Buffer.from('answer'), from, to), 0)
    await client.ready()
    assert.equal(String(receive(client.fd)), 'answer')
    assert.equal(sendFrom(server.fd, Buffer.alloc(0), from, to), 0)
    await client.ready()
    assert.equal((receive(client.fd) as Buffer).length, 0)
  })
}

test('nobody there is told by what is read next', async t => {
  const client = watched(
    t,
    connectUdp({ ip: '127.0.0.1', port: await freePort() }, { ip: '127.0.0.7', port: 0, transparent: false }),
  )
  assert.equal(send(client.fd, Buffer.from('x')), 0)
  await client.ready()
  const error = receive(client.fd)
  assert.equal(failureText(error as number), '111: Connection refused')
})

test('an address is one socket’s, unless all of them share it', async () => {
  const port = await freePort()
  const [only, second] = [bindUdp('127.0.0.1', port, true, false), bindUdp('127.0.0.1', port, true, false)]
  assert.equal(failureText(second), '98: Address already in use')
  closeSync(only)
  const shared = [bindUdp('127.0.0.1', port, true, true), bindUdp('127.0.0.1', port, true, true)]
  assert.ok(shared.every(fd => fd >= 0))
  for (const fd of shared) closeSync(fd)
})
