// That buffers were sized before a socket connected shows at its other end: it was told there and then how large the window
// can become.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { dlopen } from 'node:ffi'
import net from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from '../../src/net/connection.ts'
import { datagramClient, datagramPeer } from '../helpers/datagrams.ts'
import { atEnd, raw, serve, tempDir } from '../helpers/index.ts'

const { functions } = dlopen(null, {
  getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
}) as unknown as {
  functions: { getsockopt(fd: number, level: number, name: number, value: Buffer, length: Buffer): number }
}

const IPPROTO_TCP = 6
const TCP_INFO = 11
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8

function option(fd: number, level: number, name: number, size: number): Buffer {
  const value = Buffer.alloc(size)
  const length = Buffer.alloc(4)
  length.writeInt32LE(size)
  assert.equal(functions.getsockopt(fd, level, name, value, length), 0)
  return value
}

/** The kernel answers with twice what was said. */
const bufferOf = (fd: number, name: number): number => option(fd, SOL_SOCKET, name, 4).readInt32LE() / 2

/** By how many bits windows are shifted that the other end announces (tcpi_snd_wscale). */
function windowScale(socket: net.Socket): number {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  return option(fd, IPPROTO_TCP, TCP_INFO, 8)[6]! & 15
}

const silent = {
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
}

test('a socket may be sized before it connects, over TCP and to a Unix socket', async t => {
  for (const path of [null, `${tempDir(t)}/s`]) {
    const server = net.createServer(socket => void socket.resume())
    await once(path === null ? server.listen(0, '127.0.0.1') : server.listen(path), 'listening')
    atEnd(t, () => void server.close())
    const address = path === null ? { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port } : { path }
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const connected = Promise.withResolvers<void>()
    const sized = connect(address, silent, () => connected.resolve(), null, { receive: 10_000, send: 30_000 })
    atEnd(t, () => sized.destroy())
    await connected.promise
    assert.deepEqual([bufferOf(sized.descriptor, SO_RCVBUF), bufferOf(sized.descriptor, SO_SNDBUF)], [10_000, 30_000])
    const [socket] = await accepted
    if (path === null) assert.equal(windowScale(socket), 0)
    const heard = once(socket, 'data') as Promise<[Buffer]>
    sized.writeText('hello')
    assert.equal(String((await heard)[0]), 'hello')
  }
})

/** A server that hangs up on all comers, and the window scale of the first. */
async function peer(t: TestContext): Promise<{ readonly to: string; readonly scale: Promise<number> }> {
  const first = Promise.withResolvers<number>()
  const server = net.createServer(socket => {
    first.resolve(windowScale(socket))
    socket.on('error', () => {})
    socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  atEnd(t, () => void server.close())
  return { to: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, scale: first.promise }
}

test('*_socket_rcvbuf: every way to an upstream has it', async t => {
  const [plain, tunnel, stream] = [await peer(t), await peer(t), await peer(t)]
  const gateways: [name: string, peer: Awaited<ReturnType<typeof peer>>][] = []
  for (const name of ['proxy', 'fastcgi', 'uwsgi', 'scgi', 'grpc']) gateways.push([name, await peer(t)])
  const sized = (name: string): string => `${name}_socket_rcvbuf 4k; ${name}_socket_sndbuf 8k;`
  const locations = gateways.map(([name, { to }]) => {
    return `location /${name} { ${name}_pass ${name === 'proxy' ? 'http://' : ''}${to}; ${sized(name)} }`
  })
  const server = await serve(t, {
    conf: `worker_processes 1; events {}
      http {
        server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://${plain.to}; } ${locations.join('\n')} }
        server { listen 127.0.0.1:%%PORT_1%%; tunnel_pass ${tunnel.to}; ${sized('tunnel')} }
      }
      stream { server { listen 127.0.0.1:%%PORT_2%%; proxy_pass ${stream.to}; ${sized('proxy')} } }`,
  })
  const [httpPort, tunnelPort, streamPort] = server.ports as [number, number, number]
  const ask = async (port: number, bytes: string): Promise<void> => (await raw(t, port)).send(bytes)
  await ask(httpPort, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.notEqual(await plain.scale, 0)
  for (const [name, { scale }] of gateways) {
    await ask(httpPort, `GET /${name} HTTP/1.1\r\nHost: x\r\n\r\n`)
    assert.equal(await scale, 0, name)
  }
  await ask(tunnelPort, `CONNECT ${tunnel.to} HTTP/1.1\r\nHost: ${tunnel.to}\r\n\r\n`)
  assert.equal(await tunnel.scale, 0)
  await ask(streamPort, 'x')
  assert.equal(await stream.scale, 0)
})

test('proxy_socket_rcvbuf: datagrams are passed on as ever', async t => {
  const peer = await datagramPeer(t)
  const server = await serve(t, {
    conf: `worker_processes 1; events {}
      stream { server { listen 127.0.0.1:%%PORT_0%% udp; proxy_pass 127.0.0.1:${peer.port};
        proxy_socket_rcvbuf 4k; proxy_socket_sndbuf 4k; } }`,
  })
  const client = await datagramClient(t, server.ports[0]!)
  assert.equal(await client.ask('ping'), 'PING')
})
