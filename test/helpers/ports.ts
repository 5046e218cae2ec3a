// Free ports on loopback, found by asking the system for one and giving it back. Somebody else may take it in between: who
// starts a server on it tries again with another.

import net from 'node:net'

export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const { port } = server.address() as net.AddressInfo
  await new Promise<void>(resolve => server.close(() => resolve()))
  return port
}

/** Several at once, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort())
  return [...ports]
}

/** Where to connect: a port on 127.0.0.1, a Unix socket's path, or node:net's own words for it. */
export type Address = number | string | { readonly host: string; readonly port: number }

export function connectTo(address: Address, options: { readonly allowHalfOpen?: boolean } = {}): net.Socket {
  if (typeof address === 'string') return net.connect({ path: address, ...options })
  if (typeof address === 'number') return net.connect({ host: '127.0.0.1', port: address, ...options })
  return net.connect({ ...address, ...options })
}

/** Whether a connection is accepted there now. */
export function accepts(address: Address): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connectTo(address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/**
 * Closes with a reset where that is possible: not on a Unix socket, nor once our direction was shut, which leaves Node 26
 * with a handle that never closes and a process that never exits.
 */
export function reset(socket: net.Socket): void {
  if (socket.writableEnded || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
