// Which address a listening socket has that somebody else has opened for us (systemd, a supervisor), and who is at the other end
// of a Unix socket.

import { dlopen } from 'node:ffi'
import { formatIpv6, ipv4Text } from '../lib/networks.ts'

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOL_SOCKET = 1
const SO_TYPE = 3
const SO_PEERCRED = 17
/** struct ucred: pid, uid, gid */
const UCRED_SIZE = 12
const SOCK_STREAM = 1
const ADDRESS_MAX = 128

interface Libc {
  getsockname(this: void, fd: number, address: Buffer, length: Buffer): number
  getsockopt(this: void, fd: number, level: number, option: number, value: Buffer, length: Buffer): number
}

export type SocketName =
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string }

function open(): Libc {
  return dlopen(null, {
    getsockname: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' },
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
  }).functions
}

/** The process that listens, asked on a connection to it; 0 where that cannot be told. */
export function peerPid(fd: number): number {
  const credentials = Buffer.alloc(UCRED_SIZE)
  return open().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, sizeOf(credentials)) === 0
    ? credentials.readInt32LE()
    : 0
}

/** Null: the descriptor is no stream socket with an address of ours. */
export function socketName(fd: number): SocketName | null {
  const libc = open()
  const type = Buffer.alloc(4)
  if (libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, type, sizeOf(type)) !== 0 || type.readInt32LE() !== SOCK_STREAM) {
    return null
  }
  const address = Buffer.alloc(ADDRESS_MAX)
  const length = sizeOf(address)
  return libc.getsockname(fd, address, length) === 0 ? nameOf(address.subarray(0, length.readUInt32LE())) : null
}

function sizeOf(buffer: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32LE(buffer.length)
  return size
}

/** struct sockaddr_un, sockaddr_in, sockaddr_in6 */
function nameOf(address: Buffer): SocketName | null {
  switch (address.readUInt16LE()) {
    case AF_UNIX: {
      const path = address.toString('utf8', 2)
      const end = path.indexOf('\0', 1)
      const name = end < 0 ? path : path.slice(0, end)
      // Abstract names begin with a NUL; who connects needs them as they are.
      return name === '' || name.startsWith('\0') ? null : { type: 'unix', path: name }
    }
    case AF_INET:
      return { type: 'tcp', host: ipv4Text(address.readUInt32BE(4)), port: address.readUInt16BE(2) }
    case AF_INET6:
      return { type: 'tcp', host: formatIpv6(address.toString('latin1', 8, 24)), port: address.readUInt16BE(2) }
    default:
      return null
  }
}
