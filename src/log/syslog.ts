// Lines to a syslog server, as RFC 3164 frames them and nginx sends them:
//
//   <187>Nov 21 04:00:00 host nginx: line

import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { DatagramSocket } from './datagram.ts'

/** Plain data, as config/syslog.ts reads it. */
export interface SyslogServer {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly facility: number
  readonly severity: number
  readonly tag: string
  readonly hostname: boolean
}

/** The resolver may be there later than we are. */
const RESOLVE_AGAIN_MS = 5000

export class Syslog {
  private readonly server: SyslogServer
  private closed = false
  private socket: DatagramSocket | null = null
  /** Behind the time. */
  private readonly header: string

  constructor(server: SyslogServer) {
    this.server = server
    this.header = `${server.hostname ? ` ${hostname()}` : ''} ${server.tag}: `
    const { host, port, path } = server
    if (path !== '') this.socket = new DatagramSocket({ path })
    else if (isIP(host) !== 0) this.socket = new DatagramSocket({ ip: host, port })
    else this.resolve(host, port)
  }

  /** Until the name is known, lines are lost, as they are while no server listens. */
  private resolve(host: string, port: number): void {
    lookup(host, (error, ip) => {
      if (this.closed) return
      if (error === null) this.socket = new DatagramSocket({ ip, port })
      else setTimeout(() => this.resolve(host, port), RESOLVE_AGAIN_MS).unref()
    })
  }

  /** A line of an access log, without its end. */
  send(line: string): void {
    this.sendAs(this.server.severity, line)
  }

  /** @param severity 0 for emerg to 7 for debug */
  sendAs(severity: number, line: string): void {
    if (this.socket === null) return
    const priority = this.server.facility * 8 + severity
    this.socket.send(Buffer.from(`<${priority}>${syslogTime()}${this.header}${line}`, 'latin1'))
  }

  close(): void {
    this.closed = true
    this.socket?.close()
    this.socket = null
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
let timeSecond = 0
let timeText = ''

/** Local time, formatted once a second. */
function syslogTime(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== timeSecond) {
    timeSecond = second
    const t = new Date(second * 1000)
    const two = (n: number): string => `${n}`.padStart(2, '0')
    const clock = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`
    timeText = `${MONTHS[t.getMonth()]} ${`${t.getDate()}`.padStart(2)} ${clock}`
  }
  return timeText
}
