// The error log: nginx's line format and levels, any number of targets, reopened on request.
//
//   2026/11/21 04:00:00 [error] 1234#1235: *7 message, client: …
//
// Access logs' lines of one turn of the event loop leave in one write, errors at once. Nothing here throws: a log that
// cannot be written must not stop the service.

import { errorText } from '../lib/errno.ts'
import { LogFile } from './log-file.ts'
import { Syslog, type SyslogServer } from './syslog.ts'

/** nginx's levels, the more severe the smaller. */
export const STDERR = 0
export const EMERG = 1
export const ALERT = 2
export const CRIT = 3
export const ERR = 4
export const WARN = 5
export const NOTICE = 6
export const INFO = 7
export const DEBUG = 8

export const LEVEL_NAMES = ['stderr', 'emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug'] as const

/** One `error_log` line: `path` null means standard error, unless there is a syslog server. */
export interface LogTarget {
  readonly path: string | null
  readonly syslog?: SyslogServer
  readonly level: number
}

/** All log files of a thread by path, so that `error_log` and `access_log` lines naming one file share its descriptor. */
export class LogFiles {
  private readonly files = new Map<string | null, LogFile>()
  private readonly servers = new Map<string, Syslog>()
  private errorLog: ErrorLog | null = null

  /** The first one is told of what cannot be written. */
  tell(log: ErrorLog): void {
    this.errorLog ??= log
  }

  open(path: string | null): LogFile {
    let file = this.files.get(path)
    if (file === undefined) {
      file = new LogFile(path, problem => this.tellProblem(problem))
      this.files.set(path, file)
    }
    return file
  }

  private tellProblem(problem: string): void {
    this.errorLog?.log(ALERT, problem)
  }

  syslog(server: SyslogServer): Syslog {
    const key = JSON.stringify(server)
    let syslog = this.servers.get(key)
    if (syslog === undefined) {
      syslog = new Syslog(
        server,
        problem => this.tellProblem(problem),
        (problem, outside) => this.errorLog?.log(outside ? ERR : ALERT, problem),
      )
      this.servers.set(key, syslog)
    }
    return syslog
  }

  /** For the last time. */
  flush(): void {
    for (const file of this.files.values()) file.settle()
  }

  /** @returns what could not be reopened, in words for the log */
  reopen(): string[] {
    const problems: string[] = []
    for (const file of this.files.values()) {
      try {
        file.reopen()
      } catch (error) {
        problems.push(`open() "${file.path}" failed (${errorText(error as NodeJS.ErrnoException)})`)
      }
    }
    return problems
  }

  close(): void {
    for (const file of this.files.values()) file.close()
    this.files.clear()
    for (const syslog of this.servers.values()) syslog.close()
    this.servers.clear()
  }
}

export class ErrorLog {
  /** The least severe level that any target takes: callers test it before building a message. */
  readonly level: number
  private readonly targets: { write(level: number, line: string): void; file: LogFile | null; level: number }[]
  readonly thread: number

  /** @param thread shown as nginx shows a thread id; the process's own number where there is none */
  constructor(targets: readonly LogTarget[], files: LogFiles, thread: number = process.pid) {
    this.targets = targets.map(({ path, syslog, level }) => {
      if (syslog !== undefined) return { write: toSyslog(files.syslog(syslog)), file: null, level }
      const file = files.open(path)
      return { write: toFile(file), file, level }
    })
    this.level = targets.reduce((level, target) => Math.max(level, target.level), 0)
    this.thread = thread
    if (targets.length > 0) files.tell(this)
  }

  /** @param connection nginx's `*N`; 0 for none */
  /** @param hasLines ends of lines stay: the program's own words, or an application's, as tracebacks are */
  log(level: number, message: string, connection = 0, hasLines = connection === 0): void {
    if (level > this.level) return
    const number = connection === 0 ? '' : `*${connection} `
    const text = printable(message, hasLines)
    const line = `${logTime()} [${LEVEL_NAMES[level]}] ${process.pid}#${this.thread}: ${number}${text}`
    for (const target of this.targets) if (level <= target.level) target.write(level, line)
  }

  /** What a program has said for itself, as it is and whatever the level: for files and standard error, not for syslog. */
  plain(text: string): void {
    for (const { file } of this.targets) file?.write(`${text}\n`)
  }
}

// Those of ASCII, and of Latin-1 (U+0080 to U+009F) as UTF-8 has them: a terminal may obey both.
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\0-\x1f\x7f]|\xc2[\x80-\x9f]/g
// oxlint-disable-next-line no-control-regex
const CONTROLS_IN_LINES = /[\0-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/g

/** What a client has said ends no line and moves no terminal's cursor. nginx lets both through. */
export function printable(message: string, hasLines: boolean): string {
  const controls = hasLines ? CONTROLS_IN_LINES : CONTROLS
  return message.search(controls) === -1 ? message : message.replace(controls, escaped)
}

/** As in access logs. */
function escaped(control: string): string {
  let text = ''
  for (const byte of control) text += `\\x${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  return text
}

/** Whoever sees the effect of an error, or its answer, finds the line in the log. */
function toFile(file: LogFile): (level: number, line: string) => void {
  return (_level, line) => file.write(`${line}\n`)
}

/** Severities count from emerg as 0. */
function toSyslog(syslog: Syslog): (level: number, line: string) => void {
  return (level, line) => syslog.sendAs(Math.max(0, level - EMERG), line)
}

let timeSecond = 0
let timeText = ''

/** Local time as nginx's error log has it, formatted once a second. */
function logTime(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== timeSecond) {
    timeSecond = second
    const t = new Date(second * 1000)
    timeText = `${t.getFullYear()}/${two(t.getMonth() + 1)}/${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`
  }
  return timeText
}

function two(n: number): string {
  return n < 10 ? `0${n}` : `${n}`
}
