// What must be told of a socket before it connects: how much the kernel keeps for it of what is on its way, where a directive
// says it (socket(7): SO_RCVBUF, SO_SNDBUF), since that is when TCP settles how large its window can become; and that it may
// have an address that is not this machine's (ip(7): IP_TRANSPARENT). node:net makes sockets only as they connect, so such a
// socket is made here.

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
const IPPROTO_IP = 0
const IP_TRANSPARENT = 19
const IPPROTO_IPV6 = 41
const IPV6_TRANSPARENT = 75
const INT_MAX = 0x7fffffff

let calls: Calls | null = null

/** null: there is nothing to say. */
export function socketBuffers(receive: number, send: number): SocketBuffers | null {
  return receive === 0 && send === 0 ? null : { receive, send }
}

/** @param host null: it is to be a Unix socket
 *  @param transparent it may be bound to any address. @returns a descriptor, or -1 */
export function preparedSocket(host: string | null, buffers: SocketBuffers | null, transparent: boolean): number {
  const version = host === null ? 0 : isIP(host)
  if (host !== null && version === 0) return -1
  const family = host === null ? AF_UNIX : version === 4 ? AF_INET : AF_INET6
  calls ??= load()
  const fd = calls.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd >= 0 && buffers !== null) sizeSocket(fd, buffers)
  if (fd >= 0 && transparent) allowAnyAddress(fd, version)
  return fd
}

/** Who may not (it takes CAP_NET_RAW) learns it from bind(). @param version of the Internet Protocol */
export function allowAnyAddress(fd: number, version: number): void {
  if (version === 4) setOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1)
  else if (version === 6) setOption(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
}

export function sizeSocket(fd: number, { receive, send }: SocketBuffers): void {
  // What is beyond the system's limit (net.core.rmem_max) is cut down to it, and never an error.
  if (receive > 0) setOption(fd, SOL_SOCKET, SO_RCVBUF, Math.min(receive, INT_MAX))
  if (send > 0) setOption(fd, SOL_SOCKET, SO_SNDBUF, Math.min(send, INT_MAX))
}

function setOption(fd: number, level: number, name: number, option: number): void {
  const value = Buffer.alloc(4)
  value.writeInt32LE(option)
  calls ??= load()
  calls.setsockopt(fd, level, name, value, value.length)
}

function load(): Calls {
  const { functions } = dlopen(null, {
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  }) as unknown as { functions: Calls }
  return functions
}
