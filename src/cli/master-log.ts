// What the master has to say: to the error log, and to standard error until the program serves (or, for commands that only
// look at the configuration, throughout).

import { writeSync } from 'node:fs'
import { ALERT, ErrorLog, LEVEL_NAMES, LogFiles, NOTICE, WARN } from '../log/error-log.ts'
import type { LogTarget } from '../log/error-log.ts'
import { failed } from '../process/system-error.ts'

export class MasterLog {
  /** Warnings and worse are shown as well. */
  verbose = true
  private readonly name: string
  private files = new LogFiles()
  private log: ErrorLog
  private onStderr = false

  /**
   * @param path `-e`: in use until the configuration names another. Null: standard error
   * @param missed a folder that is not there is worth a word
   */
  constructor(name: string, path: string | null, missed = true) {
    this.name = name
    this.log = new ErrorLog([], this.files)
    if (path === null) return
    try {
      this.log = new ErrorLog([{ path, level: NOTICE }], this.files)
    } catch (error) {
      if (!missed && (error as NodeJS.ErrnoException).code === 'ENOENT') return
      this.say(`[alert] could not open error log file: ${failed('open()', path, error)}`)
    }
  }

  write(level: number, message: string): void {
    this.log.log(level, message)
    if (this.verbose && level <= WARN && !this.onStderr) this.say(`[${LEVEL_NAMES[level]}] ${message}`)
  }

  /** `portico: …` on standard error. */
  say(message: string): void {
    print(2, `${this.name}: ${message}\n`)
  }

  /** Logs where the configuration says. */
  adopt(targets: readonly LogTarget[]): void {
    const files = new LogFiles()
    try {
      this.log = new ErrorLog(targets, files)
    } catch (error) {
      files.close()
      this.write(ALERT, (error as Error).message)
      return
    }
    this.files.close()
    this.files = files
    this.onStderr = targets.some(target => target.path === null && target.syslog === undefined)
  }

  reopen(): void {
    for (const problem of this.files.reopen()) this.write(ALERT, problem)
  }

  flush(): void {
    this.files.flush()
  }
}

/** How long a reader of a pipe that is full, and does not wait by itself, may take for a part of it, in ms. */
const PATIENCE = 1000

/** Writes latin1 text at once; a reader that has gone is no reason to fail. */
export function print(fd: 1 | 2, text: string): void {
  const bytes = Buffer.from(text, 'latin1')
  let patience = PATIENCE
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(fd, bytes, done)
      patience = PATIENCE
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || patience-- === 0) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}
