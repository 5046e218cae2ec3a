// Which pid file names a master while there are two of them. After nginx's manners the old one steps aside (.oldbin) when it starts a
// new one; after Gunicorn's the new one waits in a file of its own (.2) until the old one has gone.

import { existsSync } from 'node:fs'
import { ALERT, EMERG } from '../log/error-log.ts'
import { removePidFile, renamePidFile, writePidFile } from './pid-file.ts'
import type { StopSignals } from './signals.ts'

const OLD = '.oldbin'
const SECOND = '.2'

export class MasterPidFile {
  private readonly manners: StopSignals
  private readonly log: (level: number, message: string) => void

  constructor(manners: StopSignals, log: (level: number, message: string) => void) {
    this.manners = manners
    this.log = log
  }

  /** Throws an Error in nginx's words. @param second another master has the file still */
  write(path: string, second: boolean): void {
    writePidFile(`${path}${second ? SECOND : ''}`, process.pid)
  }

  /** The master before this one has gone. */
  promote(path: string): void {
    this.rename(`${path}${SECOND}`, path)
  }

  /** Makes room for a successor. False: it could not. */
  stepAside(path: string): boolean {
    return this.manners !== 'nginx' || this.rename(path, `${path}${OLD}`)
  }

  /** The successor has gone. */
  stepBack(path: string): void {
    if (this.manners === 'nginx') this.rename(`${path}${OLD}`, path)
  }

  /** A reload may have named another file. Gunicorn's brings one back that somebody has removed. */
  move(from: string | undefined, to: string): void {
    if (from === to && (this.manners === 'nginx' || existsSync(Buffer.from(to, 'latin1')))) return
    try {
      writePidFile(to, process.pid)
      if (from !== undefined && from !== to) removePidFile(from, process.pid)
    } catch (error) {
      this.log(EMERG, (error as Error).message)
    }
  }

  /** Whichever it is, it is removed only where it names this process. */
  remove(path: string): void {
    for (const name of [path, `${path}${this.manners === 'nginx' ? OLD : SECOND}`]) removePidFile(name, process.pid)
  }

  private rename(from: string, to: string): boolean {
    try {
      renamePidFile(from, to)
      return true
    } catch (error) {
      this.log(ALERT, (error as Error).message)
      return false
    }
  }
}
