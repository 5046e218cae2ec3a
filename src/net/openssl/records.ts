// Between OpenSSL and a socket lie two memory BIOs. A thread needs only one pair of them for all its connections: a record goes
// in as a whole and is used up at once, and what comes out is written to the socket before anything else happens.

import { getRawPointer } from 'node:ffi'
import type { Connection } from '../connection.ts'
import { openssl } from './library.ts'
import { addressOf } from './memory.ts'
import { freeAtEnd } from './thread-end.ts'

/** Bytes taken from OpenSSL, and given to the socket, at a time: four full records. */
const OUT_SIZE = 4 * 16384 + 512
const BIO_CTRL_RESET = 1

let incoming = 0n
let outgoing = 0n
let out = Buffer.alloc(0)
/** Where that is. */
let outAt = 0n
/** Whose records wait for more, so that they leave together; null: nobody's. */
let holder: Connection | null = null

/** Gives a new SSL the thread's BIOs. */
export function attach(ssl: bigint): void {
  const o = openssl()
  if (incoming === 0n) {
    incoming = o.BIO_new(o.BIO_s_mem())
    outgoing = o.BIO_new(o.BIO_s_mem())
    freeAtEnd(incoming, outgoing)
    renewOut()
  }
  // The SSL gives one reference to each back when it is freed.
  o.BIO_up_ref(incoming)
  o.BIO_up_ref(outgoing)
  o.SSL_set_bio(ssl, incoming, outgoing)
}

function renewOut(): void {
  out = Buffer.allocUnsafeSlow(OUT_SIZE)
  outAt = getRawPointer(out)
}

/** The next call of OpenSSL's finds these bytes, and no others. */
export function offer(bytes: Buffer): void {
  const o = openssl()
  // What is left of another's is none of this one's. Emptying clears all the memory there is: not for nothing.
  if (o.BIO_ctrl_pending(incoming) !== 0n) o.BIO_ctrl(incoming, BIO_CTRL_RESET, 0n, 0n)
  if (bytes.length > 0) o.BIO_write(incoming, addressOf(bytes), bytes.length)
}

/** What OpenSSL says from now on is said to this connection: whatever it has said to another is sent. */
export function claim(to: Connection): void {
  if (holder === null || holder === to) return
  const other = holder
  holder = null
  flush(other)
}

/** What is sent to this connection waits for uncork(), or until another is spoken to. */
export function cork(to: Connection): void {
  claim(to)
  holder = to
}

export function uncork(to: Connection): void {
  if (holder !== to) return
  holder = null
  flush(to)
}

/** As flush(), now or when the connection is uncorked. */
export function send(to: Connection): boolean {
  return holder === to ? to.pending === 0 : flush(to)
}

/** Sends what OpenSSL has to say. False: the peer is slow. */
export function flush(to: Connection): boolean {
  const o = openssl()
  let fast = to.pending === 0
  for (;;) {
    const size = o.BIO_read(outgoing, outAt, OUT_SIZE)
    if (size <= 0) return fast
    if (to.socket.destroyed) continue
    const bytes = out.subarray(0, size)
    if (to.pending > 0) fast = to.write(Buffer.from(bytes))
    else {
      fast = to.write(bytes)
      // What the kernel has not taken stays where it is until it does.
      if (!fast) renewOut()
    }
    if (size < OUT_SIZE) return fast
  }
}

const LAST_WRITE_MS = 5000

/** What was held back until now is given a moment to leave before the socket goes. */
export function leaveSoon(socket: Connection['socket']): void {
  socket.destroySoon()
  setTimeout(destroySocket, LAST_WRITE_MS, socket).unref()
}

function destroySocket(socket: Connection['socket']): void {
  socket.destroy()
}
