// UDP sockets: one to listen on, opened by the master and read by a thread, and those that are connected to a server. Node's own
// (node:dgram) does not tell to which of our addresses a datagram was sent, cannot answer from that address, and copies each
// one; here the system calls are made directly, all through one buffer.
//
// Waiting is libuv's: a stream's handle is opened on the socket and given an empty buffer, so that instead of reading it only
// says, as long as there is something, that it could.

import { dlopen, getInt32, getRawPointer } from 'node:ffi'
import net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { errorText } from '../lib/errno.ts'
import { formatIpv6, ipv4Text } from '../lib/networks.ts'
import { socketAddress, type DatagramAddress } from '../log/datagram.ts'
import { allowAnyAddress } from './socket-options.ts'

const AF_UNIX = 1
const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEPORT = 15
const MSG_NOSIGNAL = 0x4000
const MSG_TRUNC = 0x20
const IPPROTO_IP = 0
const IP_PKTINFO = 8
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const IPV6_RECVPKTINFO = 49
const IPV6_PKTINFO = 50

const EAGAIN = 11
const EMSGSIZE = 90
/** EPIPE, ENETDOWN, ENETUNREACH, ENOTCONN, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH */
const UNREACHABLE = new Set([32, 100, 101, 107, 110, 111, 112, 113])
const ENOBUFS = 105

/** There is nothing to be read. @param error as everything here answers it: -errno */
export function isNothing(error: number): boolean {
  return error === -EAGAIN
}

/** A datagram that is lost on its way, as many are: the kernel has no room for it at present, or it is too large for the network.
 *  Nobody is to blame. */
export function isLoss(error: number): boolean {
  return error === -EAGAIN || error === -ENOBUFS || error === -EMSGSIZE
}

/** The other end is gone, or the way there (ngx_connection_error). */
export function isUnreachable(error: number): boolean {
  return UNREACHABLE.has(-error)
}

/** `111: Connection refused`. @param error -errno, as everything here answers it */
export function failureText(error: number): string {
  return errorText({ errno: error, code: getSystemErrorName(error) } as NodeJS.ErrnoException)
}

/** No size here is beyond 32 bits: an answer of 64 would be made an object, and what makes room for it may change errno. */
interface Libc {
  socket(this: void, domain: number, type: number, protocol: number): number
  bind(this: void, fd: number, address: Buffer, length: number): number
  connect(this: void, fd: number, address: Buffer, length: number): number
  recv(this: void, fd: number, bytes: Buffer, length: bigint, flags: number): number
  send(this: void, fd: number, bytes: Buffer, length: bigint, flags: number): number
  recvmsg(this: void, fd: number, header: Buffer, flags: number): number
  sendmsg(this: void, fd: number, header: Buffer, flags: number): number
  setsockopt(this: void, fd: number, level: number, name: number, value: Buffer, length: number): number
  getsockname(this: void, fd: number, address: Buffer, length: Buffer): number
  close(this: void, fd: number): number
  __errno_location(this: void): bigint
}

/** What a program without UDP has no use for is not there before prepare(): the calls, and the memory they read and write. */
let libc: Libc = null as unknown as Libc
/** This thread's errno. */
let errnoAt = 0n

function prepare(): void {
  if (libc !== null) return
  libc = (
    dlopen(null, {
      socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
      bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
      connect: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
      recv: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i32' },
      send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i32' },
      recvmsg: { arguments: ['i32', 'buffer', 'i32'], return: 'i32' },
      sendmsg: { arguments: ['i32', 'buffer', 'i32'], return: 'i32' },
      setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
      getsockname: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' },
      close: { arguments: ['i32'], return: 'i32' },
      __errno_location: { arguments: [], return: 'pointer' },
    }) as unknown as { functions: Libc }
  ).functions
  errnoAt = libc.__errno_location()
}

const errno = (): number => getInt32(errnoAt)

function setOption(fd: number, level: number, name: number, value: number): boolean {
  prepare()
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return libc.setsockopt(fd, level, name, bytes, bytes.length) === 0
}

// ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A descriptor, or -errno. @param shared others may be bound to the same address (SO_REUSEPORT) */
export function bindUdp(ip: string, port: number, ipv6only: boolean, shared: boolean): number {
  prepare()
  const { family, bytes } = socketAddress({ ip, port })
  const fd = libc.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) return -errno()
  if (family !== AF_INET) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6only ? 1 : 0)
  if (shared) shareAddress(fd)
  if (libc.bind(fd, bytes, bytes.length) === 0) return fd
  const error = errno()
  libc.close(fd)
  return -error
}

/** Others may be bound to the address as well. */
export function shareAddress(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
}

/** A socket nobody watches. Not by node:fs, which in a thread closes only what it has opened there. */
export function closeUdp(fd: number): void {
  prepare()
  libc.close(fd)
}

/** The call that a connectUdp() has failed in. */
export const failure: { call: 'socket' | 'bind' | 'connect' } = { call: 'socket' }

/** A descriptor, or -errno with `failure`. @param from the address of ours to use */
export function connectUdp(to: DatagramAddress, from: (DatagramAddress & { transparent: boolean }) | null): number {
  prepare()
  const { family, bytes } = socketAddress(to)
  const fd = libc.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  failure.call = 'socket'
  if (fd < 0) return -errno()
  if (from !== null && from.transparent) allowAnyAddress(fd, family === AF_INET ? 4 : 6)
  failure.call = 'bind'
  const local = from === null ? null : socketAddress(from).bytes
  if (local === null || libc.bind(fd, local, local.length) === 0) {
    failure.call = 'connect'
    if (libc.connect(fd, bytes, bytes.length) === 0) return fd
  }
  const error = errno()
  libc.close(fd)
  return -error
}

// ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Handle {
  readonly fd: number
  onread: () => void
  open(fd: number): number
  useUserBuffer(buffer: Buffer): void
  readStart(): number
  readStop(): number
  close(): void
}

let HandleOf: (new (type: number) => Handle) | null = null
const NO_ROOM: Buffer = Buffer.alloc(0)

/** libuv's handles are made by node:net alone. */
function handleClass(): new (type: number) => Handle {
  const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
  const socket = new net.Socket({ fd, readable: false, writable: false })
  const { constructor } = (socket as unknown as { _handle: Handle })._handle
  socket.destroy()
  return constructor as new (type: number) => Handle
}

/** A libuv handle for the socket: it watches it, or takes it along to another process. Closing it closes the socket. */
export function handleForUdp(fd: number): Handle {
  prepare()
  HandleOf ??= handleClass()
  const handle = new HandleOf(0)
  if (handle.open(fd) !== 0) throw new Error(`descriptor ${fd} is in use already`)
  return handle
}

/** Says when a socket has something to be read, which is then to be read with the functions below. */
export class UdpWatch {
  private readonly handle: Handle
  private watching = false

  /** The descriptor is this object's from now on. */
  constructor(fd: number, onReadable: () => void) {
    prepareBuffers()
    this.handle = handleForUdp(fd)
    this.handle.useUserBuffer(NO_ROOM)
    this.handle.onread = onReadable
  }

  resume(): void {
    if (!this.watching) this.handle.readStart()
    this.watching = true
  }

  pause(): void {
    if (this.watching) this.handle.readStop()
    this.watching = false
  }

  close(): void {
    this.handle.close()
  }
}

// ── datagrams ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const LARGEST = 65536

// struct msghdr, struct iovec, the sender's or receiver's address, and what goes with it, in one piece of memory.
const VECTOR = 64
const NAME = 96
const NAME_ROOM = 128
const CONTROL = 256
const CONTROL_ROOM = 128
const SIZE = 512

/** Made for the first watch. `received` begins with the datagram received last. */
let received = NO_ROOM
let receivedAt = 0n
let memory = NO_ROOM
let header = NO_ROOM

function prepareBuffers(): void {
  if (memory.length > 0) return
  received = Buffer.alloc(LARGEST)
  receivedAt = getRawPointer(received)
  memory = Buffer.alloc(SIZE)
  header = memory.subarray(0, 56)
  const base = getRawPointer(memory)
  header.writeBigUInt64LE(base + BigInt(NAME), 0)
  header.writeBigUInt64LE(base + BigInt(VECTOR), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(base + BigInt(CONTROL), 32)
}

/** What was received last: its sender as the kernel writes it, and which address of ours it was sent to ('' if not asked for, or
 *  none of ours alone), one character for each byte. */
export const arrival = { from: '', to: '', cut: false }

/** From now on `arrival.to` is told. */
export function tellDestinations(fd: number, v6: boolean): void {
  if (v6) setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
  else setOption(fd, IPPROTO_IP, IP_PKTINFO, 1)
}

/** The next datagram of a socket that listens, as a part of the common buffer, with `arrival`; or -errno. */
export function receiveFrom(fd: number): Buffer | number {
  header.writeUInt32LE(NAME_ROOM, 8)
  memory.writeBigUInt64LE(receivedAt, VECTOR)
  memory.writeBigUInt64LE(BigInt(LARGEST), VECTOR + 8)
  header.writeBigUInt64LE(BigInt(CONTROL_ROOM), 40)
  const size = libc.recvmsg(fd, header, 0)
  if (size < 0) return -errno()
  arrival.from = memory.toString('latin1', NAME, NAME + header.readUInt32LE(8))
  arrival.cut = (header.readInt32LE(48) & MSG_TRUNC) !== 0
  arrival.to = destination(Number(header.readBigUInt64LE(40)))
  return received.subarray(0, size)
}

/** in_pktinfo's ipi_spec_dst, which for a broadcast is the address to answer from, or in6_pktinfo's ipi6_addr. */
function destination(size: number): string {
  if (size < 28) return ''
  const [level, type] = [memory.readInt32LE(CONTROL + 8), memory.readInt32LE(CONTROL + 12)]
  if (level === IPPROTO_IP && type === IP_PKTINFO) return memory.toString('latin1', CONTROL + 20, CONTROL + 24)
  if (level !== IPPROTO_IPV6 || type !== IPV6_PKTINFO) return ''
  // Nobody answers from a multicast address (RFC 4291, 2.7).
  return memory[CONTROL + 16] === 0xff ? '' : memory.toString('latin1', CONTROL + 16, CONTROL + 32)
}

/** @param to, from `arrival.from` and `arrival.to` of what is answered. @returns 0, or -errno: it is not sent */
export function sendFrom(fd: number, bytes: Buffer, to: string, from: string): number {
  memory.write(to, NAME, 'latin1')
  header.writeUInt32LE(to.length, 8)
  memory.writeBigUInt64LE(bytes.length === 0 ? receivedAt : getRawPointer(bytes), VECTOR)
  memory.writeBigUInt64LE(BigInt(bytes.length), VECTOR + 8)
  header.writeBigUInt64LE(BigInt(from === '' ? 0 : source(from)), 40)
  return libc.sendmsg(fd, header, MSG_NOSIGNAL) < 0 ? -errno() : 0
}

/** Writes the same for sendmsg(). @returns its size */
function source(from: string): number {
  const v4 = from.length === 4
  const size = v4 ? 28 : 36
  memory.fill(0, CONTROL, CONTROL + 40)
  memory.writeUInt32LE(size, CONTROL)
  memory.writeInt32LE(v4 ? IPPROTO_IP : IPPROTO_IPV6, CONTROL + 8)
  memory.writeInt32LE(v4 ? IP_PKTINFO : IPV6_PKTINFO, CONTROL + 12)
  memory.write(from, CONTROL + (v4 ? 20 : 16), 'latin1')
  return v4 ? 32 : 40
}

/** The next datagram of a connected socket, as a part of the common buffer, or -errno. */
export function receive(fd: number): Buffer | number {
  const size = libc.recv(fd, received, BigInt(LARGEST), 0)
  return size < 0 ? -errno() : received.subarray(0, size)
}

/** To the server the socket is connected to. @returns 0, or -errno: it is not sent */
export function send(fd: number, bytes: Buffer): number {
  return libc.send(fd, bytes.length === 0 ? received : bytes, BigInt(bytes.length), MSG_NOSIGNAL) < 0 ? -errno() : 0
}

const NOWHERE = String.fromCharCode(AF_UNIX)

/** Our end of a connected socket, as `arrival.from`. */
export function nameOf(fd: number): string {
  const name = Buffer.alloc(NAME_ROOM)
  const size = Buffer.alloc(4)
  size.writeUInt32LE(name.length)
  return libc.getsockname(fd, name, size) === 0 ? name.toString('latin1', 0, size.readUInt32LE()) : NOWHERE
}

/** Address and port of `arrival.from`, as text. */
export function addressOf(from: string): { readonly address: string; readonly port: number } {
  if (from.charCodeAt(0) === AF_UNIX) return { address: 'unix:', port: 0 }
  const port = (from.charCodeAt(2) << 8) | from.charCodeAt(3)
  return { address: ipText(from.length <= 16 ? from.slice(4, 8) : from.slice(8, 24)), port }
}

/** Of the bytes of an IP address. */
export function ipText(bytes: string): string {
  if (bytes.length !== 4) return formatIpv6(bytes)
  return ipv4Text(Buffer.from(bytes, 'latin1').readUInt32BE())
}
