// A server that is told by datagrams, which nobody waits for: at an address, at a Unix socket, or by a name, which is looked up
// aside and again until it is known.

import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import { DatagramSocket, type SendFailure } from './datagram.ts'

/** Plain data. */
export interface ServerPlace {
  /** Address or name, '' for a Unix socket. */
  readonly host: string
  readonly port: number
  /** Path of a Unix socket, '' for UDP. */
  readonly path: string
}

/** Which address of a name with several: the first the system tells, or one of IPv4 if there is any. */
export type Preference = 'verbatim' | 'ipv4first'

/** The resolver may be there later than we are. */
const AGAIN_FIRST_MS = 1000
const AGAIN_MAX_MS = 60_000
/** Datagrams kept while a name is looked up; what is told beyond that is lost. */
const UNSENT_MAX = 45

export class DatagramServer {
  private readonly place: ServerPlace
  private readonly preference: Preference
  /** Hears once that the name is not known. */
  private readonly tell: (problem: string) => void
  private readonly tellFailure: (failure: SendFailure) => void
  /** Null until the server's name is known, and when all is over. */
  private socket: DatagramSocket | null = null
  private unsent: Buffer[] = []
  private failures = 0
  private again: NodeJS.Timeout | undefined = undefined
  private closed = false

  /** @param tellFailure hears of each datagram with which something was amiss */
  constructor(
    place: ServerPlace,
    preference: Preference,
    tell: (problem: string) => void,
    tellFailure: (failure: SendFailure) => void = () => {},
  ) {
    this.place = place
    this.preference = preference
    this.tell = tell
    this.tellFailure = tellFailure
    const { host, port, path } = place
    if (path !== '') this.socket = new DatagramSocket({ path })
    else if (isIP(host) !== 0) this.socket = new DatagramSocket({ ip: host, port })
    else this.resolve()
  }

  /** One that cannot be sent is lost. */
  send(bytes: Buffer): void {
    if (this.socket !== null) this.sendTo(this.socket, bytes)
    else if (!this.closed && this.unsent.length < UNSENT_MAX) this.unsent.push(bytes)
  }

  private sendTo(socket: DatagramSocket, bytes: Buffer): void {
    socket.send(bytes)
    if (socket.failure !== null) this.tellFailure(socket.failure)
  }

  close(): void {
    this.closed = true
    this.unsent = []
    clearTimeout(this.again)
    this.socket?.close()
    this.socket = null
  }

  private resolve(): void {
    const { host, port } = this.place
    lookup(host, { order: this.preference }, (error, ip) => {
      if (this.closed) return
      if (error === null) this.reached(new DatagramSocket({ ip, port }))
      else this.resolveLater(error)
    })
  }

  private reached(socket: DatagramSocket): void {
    this.socket = socket
    for (const bytes of this.unsent) this.sendTo(socket, bytes)
    this.unsent = []
  }

  private resolveLater({ code, message }: NodeJS.ErrnoException): void {
    const delay = Math.min(AGAIN_FIRST_MS * 2 ** this.failures, AGAIN_MAX_MS)
    if (this.failures++ === 0) this.tell(`host "${this.place.host}" could not be resolved (${code ?? message})`)
    this.again = setTimeout(() => this.resolve(), delay).unref()
  }
}
