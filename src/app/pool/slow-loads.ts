// Applications that take long to load: to connect to something that does not answer looks like to read a large model. So that is
// told of, and a worker ended for it only where others have loaded the same application in a small part of that time.

import { delay } from '../../lib/longest-delay.ts'
import type { AppSettings } from '../app.ts'

/** What is told of where requests may take for ever. */
const PATIENCE_MS = 30_000
/** One that takes so many times as long as the slowest before it hangs. */
const TIMES = 10

export class SlowLoads {
  private readonly settings: AppSettings
  private readonly log: (message: string) => void
  private slowest = 0

  constructor(settings: AppSettings, log: (message: string) => void) {
    this.settings = settings
    this.log = log
  }

  loaded(ms: number): void {
    this.slowest = Math.max(this.slowest, ms)
  }

  /** @returns to be cleared when it has loaded or ended */
  watch(title: string, pid: number): NodeJS.Timeout {
    const patience = this.settings.timeout || PATIENCE_MS
    return setTimeout(() => this.tell(title, pid, patience), delay(patience)).unref()
  }

  /** The same for one of several. @param hangs others have long been ready */
  watchWorker(pid: number, hangs: (seconds: number) => void): NodeJS.Timeout {
    const { timeout } = this.settings
    const patience = Math.max(timeout, this.slowest * TIMES)
    if (timeout === 0 || this.slowest === 0) return this.watch('worker process', pid)
    return setTimeout(() => hangs(patience / 1000), delay(patience)).unref()
  }

  private tell(title: string, pid: number, patience: number): void {
    const { kind, module } = this.settings
    const how = kind === 'node' ? '' : `: "kill -ABRT ${pid}" ends it and shows where it was`
    this.log(`${title} ${pid} still loads "${module}" after ${patience / 1000} seconds${how}`)
  }
}
