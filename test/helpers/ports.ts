// Free ports on loopback for servers that have to be told one. Test files run side by side, and the system gives a port that
// one of them has just closed to the next that asks for any. So these lie below those the system gives out by itself, and
// each is claimed for as long as the test's process lives: by an abstract Unix socket of that name, which ends with it.

import { readFileSync } from 'node:fs'
import net from 'node:net'

const FIRST = 10_240
const LAST = Math.max(firstEphemeral(), FIRST + 4096) - 1
const TRIES = 1000

/** A port nobody listens on, and which no other test is given. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    if ((await claim(port)) && (await isFree(port, host))) return port
  }
  throw new Error(`no free port on ${host} from ${FIRST} to ${LAST}`)
}

/** Several at once, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort())
  return [...ports]
}

async function claim(port: number): Promise<boolean> {
  const server = net.createServer()
  const failure = await listening(server, { path: `\0portico-test-port-${port}` })
  server.unref()
  // Where there are no abstract sockets the ports are still apart from the system's own.
  return failure !== 'EADDRINUSE'
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = net.createServer()
  if ((await listening(server, { host, port })) !== null) return false
  await new Promise<void>(resolve => server.close(() => resolve()))
  return true
}

/** The error's code, or null when it listens. */
function listening(server: net.Server, options: net.ListenOptions): Promise<string | null> {
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen(options, () => resolve(null))
  })
}

function firstEphemeral(): number {
  return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split(/\s/)[0])
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
