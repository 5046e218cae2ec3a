// How much the kernel keeps for a socket of what is on its way, where a directive says it (socket(7): SO_RCVBUF, SO_SNDBUF).
// It must be told before the socket connects, since that is when TCP settles how large its window can become; node:net makes
// sockets only as they connect, so such a socket is made here.

import { dlopen } from 'node:ffi'
import { isIP } from 'node:net'

export interface SocketBuffers {
  /** Bytes; 0: as the kernel sees fit. */
  readonly receive: number
  readonly send: number
}

interface Calls {
  socket(family: number, type: number, protocol: number): number
  setsockopt(fd: number, level: number, name: number, value: Buffer, length: number): number
}

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const INT_MAX = 0x7fffffff

let calls: Calls | null = null

/** null: there is nothing to say. */
export function socketBuffers(receive: number, send: number): SocketBuffers | null {
  return receive === 0 && send === 0 ? null : { receive, send }
}

/** @param host null: it is to be a Unix socket. @returns a descriptor, or -1 */
export function sizedSocket(host: string | null, buffers: SocketBuffers): number {
  const version = host === null ? 0 : isIP(host)
  if (host !== null && version === 0) return -1
  const family = host === null ? AF_UNIX : version === 4 ? AF_INET : AF_INET6
  calls ??= load()
  const fd = calls.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd >= 0) sizeSocket(fd, buffers)
  return fd
}

export function sizeSocket(fd: number, { receive, send }: SocketBuffers): void {
  if (receive > 0) set(fd, SO_RCVBUF, receive)
  if (send > 0) set(fd, SO_SNDBUF, send)
}

/** What is beyond the system's limit (net.core.rmem_max) is cut down to it, and never an error. */
function set(fd: number, name: number, bytes: number): void {
  const value = Buffer.alloc(4)
  value.writeInt32LE(Math.min(bytes, INT_MAX))
  calls ??= load()
  calls.setsockopt(fd, SOL_SOCKET, name, value, value.length)
}

function load(): Calls {
  const { functions } = dlopen(null, {
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  }) as unknown as { functions: Calls }
  return functions
}
