// Metrics to StatsD, as Gunicorn words them: `gunicorn.requests:1|c|@1.0`, with tags behind `|#` where DogStatsD listens. What is
// told within one turn of the event loop leaves in one datagram, a line for each.

import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import { DatagramSocket } from './datagram.ts'

/** Plain data. */
export interface StatsdServer {
  /** '' for a Unix socket. */
  readonly host: string
  readonly port: number
  readonly path: string
  readonly prefix: string
  readonly tags: string
}

/** What a datagram may hold so that no network divides it. */
const DATAGRAM_MAX = 1432
/** Datagrams kept while a name is looked up; what is told beyond that is lost. */
const UNSENT_MAX = 45

export class Statsd {
  private readonly prefix: string
  private readonly tags: string
  /** Null until the server's name is known. */
  private socket: DatagramSocket | null = null
  private waiting = ''
  private unsent: string[] = []
  private scheduled = false
  private closed = false

  constructor({ host, port, path, prefix, tags }: StatsdServer) {
    this.prefix = withPoint(prefix)
    this.tags = tags === '' ? '' : `|#${tags}`
    if (path !== '') this.socket = new DatagramSocket({ path })
    else if (isIP(host) !== 0) this.socket = new DatagramSocket({ ip: host, port })
    else this.resolve(host, port)
  }

  increment(name: string): void {
    this.append(`${this.prefix}${name}:1|c|@1.0${this.tags}`)
  }

  timing(name: string, ms: number): void {
    this.append(`${this.prefix}${name}:${ms}|ms${this.tags}`)
  }

  histogram(name: string, value: number): void {
    this.append(`${this.prefix}${name}:${value}|h${this.tags}`)
  }

  gauge(name: string, value: number): void {
    this.append(`${this.prefix}${name}:${value}|g${this.tags}`)
  }

  flush(): void {
    this.scheduled = false
    if (this.waiting === '') return
    if (this.socket !== null) this.socket.send(Buffer.from(this.waiting, 'latin1'))
    else if (this.unsent.length < UNSENT_MAX) this.unsent.push(this.waiting)
    this.waiting = ''
  }

  close(): void {
    this.closed = true
    this.flush()
    this.socket?.close()
  }

  private append(line: string): void {
    if (this.waiting.length + line.length + 1 > DATAGRAM_MAX) this.flush()
    this.waiting += this.waiting === '' ? line : `\n${line}`
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => this.flush())
  }

  private resolve(host: string, port: number): void {
    lookup(host, { family: 4 }, (error, ip) => {
      if (error !== null || this.closed) return
      this.socket = new DatagramSocket({ ip, port })
      for (const datagram of this.unsent) this.socket.send(Buffer.from(datagram, 'latin1'))
      this.unsent = []
    })
  }
}

/** With one point at its end, whatever it was given with. */
function withPoint(prefix: string): string {
  return prefix.replace(/^(.+[^.]+)\.*$/, '$1.')
}
