// What comes on a connection of stream or mail before anything is said: a PROXY protocol header, and TLS, at once or where the
// client has asked for it (STARTTLS). What comes too early is kept.

import { keep } from '../../net/read-buffer.ts'
import { Opening, type OpeningOwner } from './opening.ts'

export interface EntranceOwner extends OpeningOwner {
  /** The PROXY protocol has told of the client. False: it is not let in, and the session has ended. */
  introduced(): boolean
  /** Plain text has come where TLS was to begin. */
  spokePlainly(): void
  /** Nothing has to come first any more. As handshakeDone(), where no handshake was made here. */
  entered(): void
}

const NOTHING = Buffer.alloc(0)

export class Entrance {
  private readonly owner: EntranceOwner
  private opening: Opening | null
  private received: Buffer = NOTHING
  private awaitsTls: boolean

  constructor(owner: EntranceOwner) {
    const { proxyProtocol, tls } = owner.listen
    this.owner = owner
    this.awaitsTls = tls && owner.tls === null
    this.opening = proxyProtocol || this.awaitsTls ? new Opening(owner) : null
  }

  /** Nothing has to come first. */
  get open(): boolean {
    return this.opening === null
  }

  /** No PROXY protocol header is awaited. */
  get headed(): boolean {
    return this.opening === null || this.opening.headed
  }

  /** TLS begins now, on a connection in use. */
  beginTls(): void {
    this.awaitsTls = true
    this.opening = new Opening(this.owner, true)
  }

  read(chunk: Buffer): void {
    const bytes = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk])
    this.received = NOTHING
    this.pass(bytes)
  }

  /** Keeps what it is too early for. */
  hold(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.received = this.received.length === 0 ? keep(bytes) : Buffer.concat([this.received, bytes])
  }

  /** What is kept. */
  get held(): Buffer {
    return this.received
  }

  /** Gives away what was kept. */
  take(): Buffer {
    const { received } = this
    this.received = NOTHING
    return received
  }

  private pass(bytes: Buffer): void {
    const { opening, owner } = this
    if (opening === null) {
      this.hold(bytes)
      return
    }
    const { headed } = opening
    const used = opening.read(bytes, 0, bytes.length)
    if (used < 0) {
      owner.closeNow()
      return
    }
    if (!headed && opening.headed && !owner.introduced()) return
    const rest = bytes.subarray(used)
    if (opening.done) this.passed(rest)
    else if (used > 0 && rest.length > 0) this.pass(rest)
    else this.hold(rest)
  }

  private passed(rest: Buffer): void {
    const { owner } = this
    const { tls } = owner
    this.opening = null
    if (tls === null && this.awaitsTls) {
      owner.spokePlainly()
      return
    }
    this.hold(rest)
    if (tls === null || tls.connection?.secured === true) owner.entered()
  }
}
