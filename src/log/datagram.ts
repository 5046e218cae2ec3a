// A datagram socket that sends at once or not at all, to a UDP address or a Unix socket. Node's own is asynchronous, so
// that a process on its way out would lose what it said last, and knows no Unix sockets.

import { dlopen, getInt32 } from 'node:ffi'
import { isIPv6 } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { parseIpv4, parseIpv6 } from '../lib/networks.ts'

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const MSG_NOSIGNAL = 0x4000

interface Libc {
  socket(this: void, domain: number, type: number, protocol: number): number
  connect(this: void, fd: number, address: Buffer, length: number): number
  send(this: void, fd: number, bytes: Buffer, length: bigint, flags: number): number
  close(this: void, fd: number): number
  __errno_location(this: void): bigint
}

let libc: Libc | null = null
/** Of this thread. */
let errnoAt = 0n

function load(): Libc {
  if (libc !== null) return libc
  libc = (
    dlopen(null, {
      socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
      connect: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
      // No datagram is longer than 31 bits tell.
      send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i32' },
      close: { arguments: ['i32'], return: 'i32' },
      __errno_location: { arguments: [], return: 'pointer' },
    }) as unknown as { functions: Libc }
  ).functions
  errnoAt = libc.__errno_location()
  return libc
}

/** Where to: an IP address and a port, or the path of a Unix socket. */
export type DatagramAddress = { readonly ip: string; readonly port: number } | { readonly path: string }

/** Which call has failed, and why. */
export interface SendFailure {
  readonly syscall: 'socket' | 'connect' | 'send'
  readonly errno: number
  readonly code: string
}

export class DatagramSocket {
  /** What was amiss with the last datagram, which may have been sent all the same; null: nothing. */
  failure: SendFailure | null = null
  private readonly address: DatagramAddress
  private descriptor = -1

  constructor(address: DatagramAddress) {
    this.address = address
  }

  /** False: it is not sent. A socket that was open may only be told of what became of others, or of a server that is new since. */
  send(bytes: Buffer): boolean {
    this.failure = null
    if (this.descriptor >= 0 && this.put(bytes)) return true
    return this.open() && this.put(bytes)
  }

  private put(bytes: Buffer): boolean {
    if (load().send(this.descriptor, bytes, BigInt(bytes.length), MSG_NOSIGNAL) >= 0) return true
    return this.failed('send')
  }

  private failed(syscall: SendFailure['syscall']): false {
    const errno = -getInt32(errnoAt)
    this.failure = { syscall, errno, code: getSystemErrorName(errno) }
    this.close()
    return false
  }

  private open(): boolean {
    const { family, bytes } = socketAddress(this.address)
    const { socket, connect } = load()
    this.descriptor = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if (this.descriptor < 0) return this.failed('socket')
    return connect(this.descriptor, bytes, bytes.length) >= 0 || this.failed('connect')
  }

  /** Node's own would warn of a descriptor that this thread has not opened by Node. */
  close(): void {
    if (this.descriptor >= 0) load().close(this.descriptor)
    this.descriptor = -1
  }
}

/** struct sockaddr_un, sockaddr_in or sockaddr_in6. */
export function socketAddress(address: DatagramAddress): { family: number; bytes: Buffer } {
  if ('path' in address) {
    // An abstract name begins with a NUL and has no other at its end.
    const bytes = Buffer.from(`\0\0${address.path}${address.path.startsWith('\0') ? '' : '\0'}`, 'latin1')
    bytes.writeUInt16LE(AF_UNIX)
    return { family: AF_UNIX, bytes }
  }
  const { ip, port } = address
  const v6 = isIPv6(ip)
  const bytes = Buffer.alloc(v6 ? 28 : 16)
  bytes.writeUInt16LE(v6 ? AF_INET6 : AF_INET)
  bytes.writeUInt16BE(port, 2)
  if (v6) bytes.write(parseIpv6(ip) ?? '', 8, 'latin1')
  else bytes.writeUInt32BE(parseIpv4(ip), 4)
  return { family: v6 ? AF_INET6 : AF_INET, bytes }
}
