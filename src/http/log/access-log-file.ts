// A file of access_log: with `buffer=` lines gather in memory until it is full or `flush=` is over, and with `gzip` what
// has gathered is compressed. The file itself, its reopening and the writes of one turn of the event loop are
// log/log-file.ts's.

import { gzipSync } from 'node:zlib'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import type { LogFiles } from '../../log/error-log.ts'
import type { LogFile } from '../../log/log-file.ts'

/** 0 for no buffer, no time, no compression. */
export interface LogBuffer {
  readonly size: number
  readonly flushMs: number
  readonly gzip: number
}

export class AccessLogFile {
  readonly path: string
  /** The first buffer that one of the file's access_log lines asks for is that of all. */
  buffer: LogBuffer
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
    this.file.beforeReopen.push(() => this.flush())
  }

  /** A line with its end. */
  append(line: string): void {
    if (this.file === null) return
    const { size, flushMs } = this.buffer
    if (this.waiting.length + line.length > size) {
      this.flush()
      if (line.length > size) {
        this.write(line)
        return
      }
    }
    if (this.waiting === '' && flushMs > 0) timers.arm(this.timer, flushMs)
    this.waiting += line
  }

  flush(): void {
    if (this.waiting === '') return
    timers.disarm(this.timer)
    const text = this.waiting
    this.waiting = ''
    this.write(text)
  }

  /** Compressed, every buffer is a gzip member of its own: gunzip reads them as one file. */
  private write(text: string): void {
    const { gzip } = this.buffer
    const level = { level: gzip }
    this.file?.append(gzip === 0 ? text : gzipSync(Buffer.from(text, 'latin1'), level).toString('latin1'))
  }
}
