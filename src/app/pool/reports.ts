// What a pool makes known: to the front threads, who its workers are and why it has none; to the log; and to whoever waits for
// the application, that it is loaded.

import type { AppNotice, AppSettings } from '../app.ts'
import { ERR } from '../../log/error-log.ts'
import type { PoolWorker } from './roster.ts'

/** Where it goes. */
interface Listeners {
  readonly settings: AppSettings
  log(level: number, message: string): void
  notify(notice: AppNotice): void
}

export class Reports {
  /** '' once a worker serves, or why the application cannot be loaded: whichever comes first. */
  readonly loaded: Promise<string>
  /** Why the application could not be loaded the last time; '' since a worker has served. */
  lastError = ''
  /** It is known whether the application can be loaded. */
  isSettled = false
  private readonly to: Listeners
  private settle: (error: string) => void = () => {}

  constructor(to: Listeners) {
    this.to = to
    this.loaded = new Promise(resolve => {
      this.settle = resolve
    })
  }

  log(level: number, message: string): void {
    const { settings } = this.to
    this.to.log(level, Buffer.from(`app "${settings.name}": ${message}`, 'utf8').toString('latin1'))
  }

  /** @param error '' for none */
  isLoaded(error: string): void {
    this.isSettled = true
    this.settle(error)
  }

  serves(worker: PoolWorker): void {
    for (const notice of this.noticesOf(worker)) this.to.notify(notice)
  }

  gone({ slot, pid }: PoolWorker): void {
    this.to.notify({ type: 'gone', app: this.to.settings.name, slot, pid })
  }

  /** The cause in one line, the traceback after it; the same one is not repeated at every try. */
  failed(error: string, traceback: string, serving: readonly PoolWorker[]): void {
    if (error !== this.lastError) {
      this.log(ERR, error)
      if (traceback !== '') this.log(ERR, `traceback\n${traceback.trimEnd()}`)
    }
    this.lastError = error
    if (serving.length === 0) this.to.notify(this.failure)
    this.isLoaded(error)
  }

  /** What a thread that starts now has to be told. */
  current(serving: readonly PoolWorker[]): AppNotice[] {
    const notices = serving.flatMap(worker => this.noticesOf(worker))
    if (notices.length === 0 && this.lastError !== '') notices.push(this.failure)
    return notices
  }

  private noticesOf({ slot, place, pid, paths }: PoolWorker): AppNotice[] {
    return paths.map(path => ({ type: 'worker', app: this.to.settings.name, slot, place, pid, path }))
  }

  private get failure(): AppNotice {
    return { type: 'failed', app: this.to.settings.name, error: this.lastError }
  }
}
