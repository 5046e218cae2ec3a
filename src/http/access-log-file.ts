// A file of access_log: with `buffer=` lines gather in memory until it is full or `flush=` is over. The file itself, its
// reopening and the writes of one turn of the event loop are log/error-log.ts's.

import { Timer, timers } from '../lib/timer-wheel.ts'
import type { LogFile, LogFiles } from '../log/error-log.ts'

/** 0 for no buffer; 0 for no time. */
export interface LogBuffer {
  readonly size: number
  readonly flushMs: number
}

export class AccessLogFile {
  readonly path: string
  readonly buffer: LogBuffer
  private file: LogFile | null = null
  private waiting = ''
  private readonly timer: Timer<AccessLogFile>

  constructor(path: string, buffer: LogBuffer) {
    this.path = path
    this.buffer = buffer
    this.timer = new Timer<AccessLogFile>(this, log => log.flush())
  }

  open(files: LogFiles): void {
    this.file = files.open(this.path)
  }

  /** A line with its end. */
  append(line: string): void {
    if (this.file === null) return
    const { size, flushMs } = this.buffer
    if (this.waiting.length + line.length > size) {
      this.flush()
      if (line.length > size) {
        this.file.append(line)
        return
      }
    }
    if (this.waiting === '' && flushMs > 0) timers.arm(this.timer, flushMs)
    this.waiting += line
  }

  flush(): void {
    if (this.waiting === '') return
    timers.disarm(this.timer)
    this.file?.append(this.waiting)
    this.waiting = ''
  }
}
