// The error log: nginx's line format and levels, any number of targets, reopened on request.
//
//   2026/11/21 04:00:00 [error] 1234#1235: *7 message, client: …
//
// Access logs' lines of one turn of the event loop leave in one write, errors at once. Nothing here throws: a log that
// cannot be written must not stop the service.

import { closeSync, openSync, writeSync } from 'node:fs'
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

/** A file that is appended to and can be reopened under the same name; shared by all who log there. */
export class LogFile {
  readonly path: string | null
  private descriptor: number
  private waiting = ''
  private scheduled = false
  private readonly flusher: () => void

  /** `path` null: standard error. `/dev/stdout` and `/dev/stderr` mean the inherited descriptors, which need no permission. */
  constructor(path: string | null) {
    this.path = path
    this.descriptor = openLog(path)
    this.flusher = () => this.flush()
  }

  /** Appends latin1 text, written at the end of this turn of the event loop. */
  append(text: string): void {
    this.waiting += text
    if (this.scheduled) {
      if (this.waiting.length > 65536) this.flush()
      return
    }
    this.scheduled = true
    setImmediate(this.flusher)
  }

  /** Writes at once, behind what waits. */
  write(text: string): void {
    this.waiting += text
    this.flush()
  }

  flush(): void {
    this.scheduled = false
    if (this.waiting === '') return
    const bytes = Buffer.from(this.waiting, 'latin1')
    this.waiting = ''
    writeAll(this.descriptor, bytes)
  }

  /** Opens the path anew (USR1): after a rotation the old name is another file. Throws what open() throws. */
  reopen(): void {
    this.flush()
    if (this.descriptor <= 2) return
    const fresh = openLog(this.path)
    closeSync(this.descriptor)
    this.descriptor = fresh
  }

  close(): void {
    this.flush()
    if (this.descriptor > 2) closeSync(this.descriptor)
    this.descriptor = -1
  }
}

function openLog(path: string | null): number {
  if (path === null || path === '/dev/stderr') return 2
  if (path === '/dev/stdout') return 1
  return openSync(Buffer.from(path, 'latin1'), 'a', 0o644)
}

function writeAll(descriptor: number, bytes: Buffer): void {
  if (descriptor < 0) return
  let done = 0
  let patience = 100
  while (done < bytes.length) {
    try {
      done += writeSync(descriptor, bytes, done, bytes.length - done)
    } catch (error) {
      // A pipe or terminal that is full for the moment; anything else (full disk) loses the line, not the service.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || --patience === 0) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}

/** All log files of a thread by path, so that `error_log` and `access_log` lines naming one file share its descriptor. */
export class LogFiles {
  private readonly files = new Map<string | null, LogFile>()
  private readonly servers = new Map<string, Syslog>()

  open(path: string | null): LogFile {
    let file = this.files.get(path)
    if (file === undefined) {
      file = new LogFile(path)
      this.files.set(path, file)
    }
    return file
  }

  syslog(server: SyslogServer): Syslog {
    const key = JSON.stringify(server)
    let syslog = this.servers.get(key)
    if (syslog === undefined) {
      syslog = new Syslog(server)
      this.servers.set(key, syslog)
    }
    return syslog
  }

  flush(): void {
    for (const file of this.files.values()) file.flush()
  }

  /** @returns what could not be reopened, in words for the log */
  reopen(): string[] {
    const problems: string[] = []
    for (const file of this.files.values()) {
      try {
        file.reopen()
      } catch (error) {
        problems.push(`open() "${file.path}" failed (${(error as Error).message})`)
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
  private readonly targets: { write(level: number, line: string): void; level: number }[]
  readonly thread: number

  /** @param thread shown as nginx shows a thread id; the process's own number where there is none */
  constructor(targets: readonly LogTarget[], files: LogFiles, thread: number = process.pid) {
    this.targets = targets.map(({ path, syslog, level }) => ({
      write: syslog === undefined ? toFile(files.open(path)) : toSyslog(files.syslog(syslog)),
      level,
    }))
    this.level = targets.reduce((level, target) => Math.max(level, target.level), 0)
    this.thread = thread
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
