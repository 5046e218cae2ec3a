// Metrics to StatsD, as Gunicorn words them: `gunicorn.requests:1|c|@1.0`, with tags behind `|#` where DogStatsD listens. What is
// told within one turn of the event loop leaves in one datagram, a line for each.

import { type ServerPlace, DatagramServer } from './datagram-server.ts'
import type { Told } from './log-file.ts'

/** Plain data. */
export interface StatsdServer extends ServerPlace {
  readonly prefix: string
  readonly tags: string
}

/** What a datagram may hold so that no network divides it. */
const DATAGRAM_MAX = 1432

export class Statsd {
  private readonly prefix: string
  private readonly tags: string
  private readonly server: DatagramServer
  private waiting = ''
  private scheduled = false

  constructor(server: StatsdServer, tell: Told = () => {}) {
    this.prefix = withPoint(server.prefix)
    this.tags = server.tags === '' ? '' : `|#${server.tags}`
    // As Gunicorn, which knows no others.
    this.server = new DatagramServer(server, 'ipv4first', problem => tell(`statsd: ${problem}`))
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
    this.server.send(Buffer.from(this.waiting, 'latin1'))
    this.waiting = ''
  }

  close(): void {
    this.flush()
    this.server.close()
  }

  private append(line: string): void {
    if (this.waiting.length + line.length + 1 > DATAGRAM_MAX) this.flush()
    this.waiting += this.waiting === '' ? line : `\n${line}`
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => this.flush())
  }
}

/** With one point at its end, whatever it was given with. */
function withPoint(prefix: string): string {
  return prefix.replace(/^(.+[^.]+)\.*$/, '$1.')
}
