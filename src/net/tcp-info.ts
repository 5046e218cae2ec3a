// What the kernel knows about a TCP connection (getsockopt TCP_INFO), which Node does not tell.

import { dlopen } from 'node:ffi'

const IPPROTO_TCP = 6
const TCP_INFO = 11

// Places in struct tcp_info. Of a listening socket, what is unacknowledged are connections that nobody has accepted.
const STATE = 0
export const BACKLOGGED = 24
export const RTT = 68
export const RTTVAR = 72
export const SND_CWND = 80
export const RCV_SPACE = 96
const SIZE = 104

const TCP_LISTEN = 10

type Getsockopt = (fd: number, level: number, option: number, value: Buffer, length: Buffer) => number

let getsockopt: Getsockopt | null = null
const info = Buffer.alloc(SIZE)
const length = Buffer.alloc(4)

/** The number at that place, for an open descriptor; null if it is no TCP socket. */
export function tcpInfo(descriptor: number, place: number): number | null {
  if (descriptor < 0) return null
  getsockopt ??= load()
  length.writeUInt32LE(SIZE)
  const failed = getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, length) < 0
  return failed || length.readUInt32LE() < place + 4 ? null : info.readUInt32LE(place)
}

/** Is that descriptor a TCP socket that listens? */
export function isListening(descriptor: number): boolean {
  return ((tcpInfo(descriptor, STATE) ?? 0) & 0xff) === TCP_LISTEN
}

function load(): Getsockopt {
  const { functions } = dlopen(null, {
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
  }) as unknown as { functions: { getsockopt: Getsockopt } }
  return functions.getsockopt
}
