// One UDP address as the thread sees it that reads its datagrams (ngx_event_udp.c): each belongs to a session, found by the
// client's address and, where the socket has several of our addresses, by the one it was sent to; or it begins one.
//
// Only one thread reads an address, or with `reuseport` one of its sockets, among which the kernel divides the clients: so all
// that a client sends comes to the same thread. Answers leave by any socket of the address.

import { addressText } from '../../http/core/listen.ts'
import type { ListenRuntime } from '../../http/runtime.ts'
import type { Address } from '../../http/server/server-block.ts'
import type { Sessions } from '../../http/session/sessions.ts'
import type { ThreadServices } from '../../http/setup.ts'
import { monotonic } from '../../lib/clock.ts'
import { addressBytes } from '../../lib/networks.ts'
import { ALERT } from '../../log/error-log.ts'
import {
  arrival,
  closeUdp,
  failureText,
  isNothing,
  receiveFrom,
  sendFrom,
  tellDestinations,
  UdpWatch,
} from '../../net/udp-socket.ts'
import type { StreamListen } from '../listen.ts'
import { UdpSession } from './session.ts'

/** Datagrams read before others have their turn. */
const BATCH = 64
/** That there is no room for another session is told no more often. */
const TELL_MS = 1000

/** The key of an address's socket for one thread; the first one's is the address's own. */
function socketKey(key: string, thread: number): string {
  return thread === 0 ? key : `${key}#${thread}`
}

/** The keys of all sockets of an address. */
export function socketKeys(key: string, reuseport: boolean, threads: number): readonly string[] {
  return Array.from({ length: reuseport ? threads : 1 }, (_, thread) => socketKey(key, thread))
}

/**
 * What this thread has to do with each UDP address.
 * @param descriptors a descriptor of our own for each key; those that are used are taken out
 */
export function udpListeners(
  addresses: readonly Address<StreamListen>[],
  { thread, threads, errorLog }: ThreadServices,
  descriptors: Map<string, number>,
  sessions: Sessions,
): readonly UdpListener[] {
  const listeners: UdpListener[] = []
  for (const [i, address] of addresses.entries()) {
    if (!address.reuseport && i % threads !== thread) continue
    const readingKey = address.reuseport ? socketKey(address.key, thread) : address.key
    const [sending, reading] = [descriptors.get(address.key)!, descriptors.get(readingKey)!]
    listeners.push(new UdpListener(address, reading, sending, sessions, errorLog))
    descriptors.delete(address.key)
    descriptors.delete(readingKey)
  }
  return listeners
}

export class UdpListener {
  readonly port: number
  private readonly address: Address<StreamListen>
  private readonly reading: number
  private readonly sending: number
  private readonly sessions: Sessions
  private readonly errorLog: ThreadServices['errorLog']
  private readonly wildcard: boolean
  /** Of the address itself, where it is but one. */
  private readonly ownAddress: string
  private readonly watch: UdpWatch
  private readonly open = new Map<string, UdpSession>()
  private closed = false
  private toldFullMs = -Infinity

  constructor(
    address: Address<StreamListen>,
    reading: number,
    sending: number,
    sessions: Sessions,
    errorLog: ThreadServices['errorLog'],
  ) {
    this.address = address
    this.port = address.port
    this.reading = reading
    this.sending = sending
    this.sessions = sessions
    this.errorLog = errorLog
    this.wildcard = address.host === '0.0.0.0' || address.host === '::'
    this.ownAddress = addressBytes(address.host)
    if (this.wildcard) tellDestinations(reading, address.host === '::')
    this.watch = new UdpWatch(reading, () => this.read())
    this.watch.resume()
  }

  private read(): void {
    for (let i = 0; i < BATCH && !this.closed; i++) {
      const bytes = receiveFrom(this.reading)
      if (typeof bytes === 'number') {
        if (!isNothing(bytes)) this.log(`recvmsg() failed (${failureText(bytes)})`)
        return
      }
      if (arrival.cut) this.log('recvmsg() truncated data')
      else this.deliver(bytes)
    }
  }

  private deliver(bytes: Buffer): void {
    const { from, to } = arrival
    const key = this.wildcard ? from + to : from
    const session = this.open.get(key)
    if (session !== undefined) {
      session.receive(bytes)
      return
    }
    const number = this.sessions.place()
    if (number === 0) {
      this.tellFull()
      return
    }
    const local = this.wildcard && to !== '' ? to : this.ownAddress
    const made = new UdpSession(this, this.sessions, number, key, from, local, Buffer.from(bytes))
    this.open.set(key, made)
    this.sessions.insert(made)
  }

  /** Datagrams come by the thousand, and for each a line would be written. */
  private tellFull(): void {
    const now = monotonic()
    if (now - this.toldFullMs < TELL_MS) return
    this.toldFullMs = now
    this.sessions.tellFull()
  }

  /** @param local the address of ours that a client has written to */
  runtimeFor(local: string): ListenRuntime {
    const { within, runtime } = this.address
    return (within.get(local) ?? runtime) as unknown as ListenRuntime
  }

  /** What its client sends from now on belongs to another session. */
  forget(session: UdpSession): void {
    if (this.open.get(session.key) === session) this.open.delete(session.key)
  }

  /** @returns 0, or -errno */
  send(session: UdpSession, bytes: Buffer): number {
    return sendFrom(this.sending, bytes, session.from, this.wildcard ? session.to : '')
  }

  /** Reads no more. A socket that is one of several must go, for the kernel goes on giving it a share of the clients. */
  retire(): void {
    if (this.reading !== this.sending) this.close()
    else this.watch.pause()
  }

  private close(): void {
    if (this.closed) return
    this.closed = true
    this.watch.close()
  }

  /** When its sessions have ended. */
  stop(): void {
    this.close()
    if (this.reading !== this.sending) closeUdp(this.sending)
  }

  private log(message: string): void {
    this.errorLog.log(ALERT, `${message} on ${addressText(this.address.key)}`)
  }
}
