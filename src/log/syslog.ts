// Lines to a syslog server, as RFC 3164 frames them and nginx sends them:
//
//   <187>Nov 21 04:00:00 host nginx: line

import { hostname } from 'node:os'
import { failureText } from '../lib/errno.ts'
import type { SendFailure } from './datagram.ts'
import { type ServerPlace, DatagramServer } from './datagram-server.ts'
import type { Told } from './log-file.ts'

/** Plain data: it is sent to other processes. */
export interface SyslogServer extends ServerPlace {
  readonly facility: number
  /** Of access logs; errors have their own. */
  readonly severity: number
  readonly tag: string
  readonly hostname: boolean
}

/** Hears of lines that are lost. @param outside is it the network's doing, or the server's? */
export type UnsentTold = (problem: string, outside: boolean) => void

/** Not for each line, where there may be many. */
const TOLD_EVERY_MS = 1000
/** As nginx tells them from mistakes on this machine (ngx_connection_error). */
const OUTSIDE = new Set(
  'ECONNRESET EPIPE ENOTCONN ETIMEDOUT ECONNREFUSED ENETDOWN ENETUNREACH EHOSTDOWN EHOSTUNREACH'.split(' '),
)

export class Syslog {
  private readonly facility: number
  private readonly severity: number
  private readonly server: DatagramServer
  /** Behind the time. */
  private readonly header: string
  private readonly name: string
  private readonly tellUnsent: UnsentTold
  private toldMs = -Infinity

  constructor(server: SyslogServer, tell: Told = () => {}, tellUnsent: UnsentTold = () => {}) {
    this.tellUnsent = tellUnsent
    this.name = server.path === '' ? hostPort(server) : `unix:${server.path}`
    this.facility = server.facility
    this.severity = server.severity
    this.header = `${server.hostname ? ` ${hostname()}` : ''} ${server.tag}: `
    this.server = new DatagramServer(
      server,
      'verbatim',
      problem => tell(`syslog: ${problem}`),
      failure => this.unsent(failure),
    )
  }

  /** A line of an access log, without its end. */
  send(line: string): void {
    this.sendAs(this.severity, line)
  }

  /** @param severity 0 for emerg to 7 for debug */
  sendAs(severity: number, line: string): void {
    const priority = this.facility * 8 + severity
    this.server.send(Buffer.from(`<${priority}>${syslogTime()}${this.header}${line}`, 'latin1'))
  }

  private unsent(failure: SendFailure): void {
    if (failure.code === 'EAGAIN' || performance.now() - this.toldMs < TOLD_EVERY_MS) return
    this.toldMs = performance.now()
    const outside = failure.syscall === 'send' && OUTSIDE.has(failure.code)
    const text = failureText({ ...failure, name: '', message: '' })
    this.tellUnsent(`${text} while logging to syslog, server: ${this.name}`, outside)
  }

  close(): void {
    this.server.close()
  }
}

function hostPort({ host, port }: ServerPlace): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
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
