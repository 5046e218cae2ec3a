// The process that loads a Python application once and forks its workers: starts it and speaks the control conversation of
// docs/bridge.md with it, one JSON object a line.

import type { AppSettings } from '../app.ts'
import { ERR, INFO, NOTICE, WARN } from '../../log/error-log.ts'
import { PythonProcess } from './python-process.ts'
import type { Output, Spawner, SpawnerEvents } from './spawner.ts'

export interface ZygoteOptions {
  readonly settings: AppSettings
  readonly generation: number
  readonly frontThreads: number
  readonly socketDir: string
  /** Who the workers are to run as; '' for who we are. */
  readonly user: string
  readonly group: string
  readonly output: Output
  /** What `portico serve` adds: hooks and settings for them (python/portico_bridge/hooks.py). */
  readonly gunicorn: object | null
}

/** With this code it ends where it cannot say why (python/portico_bridge/preloaded.py). */
const LOST = 113

const LEVELS: Readonly<Record<string, number>> = { error: ERR, warn: WARN, notice: NOTICE, info: INFO }

export class Zygote extends PythonProcess implements Spawner {
  protected readonly title = 'the zygote'
  private readonly options: ZygoteOptions
  private readonly events: SpawnerEvents

  constructor(options: ZygoteOptions, events: SpawnerEvents) {
    super(events)
    this.options = options
    this.events = events
  }

  start(): void {
    const { settings, output } = this.options
    this.launch('portico_bridge', settings, output)
  }

  fork(slot: number, age: number): void {
    this.send({ command: 'fork', slot, age })
  }

  abort(pid: number): void {
    this.send({ command: 'abort', pid })
  }

  ask(_pid: number, _hangs: () => void): void {
    // The front's own timer has found out already.
  }

  end(pid: number): void {
    this.send({ command: 'end', pid })
  }

  kill(pid: number): void {
    this.send({ command: 'kill', pid })
  }

  leave(_pid: number): void {
    // The front's SHUTDOWN frame has told it already.
  }

  tell(command: object): void {
    this.send(command)
  }

  stop(graceful: boolean, final: boolean): void {
    this.send({ command: 'stop', graceful, final })
  }

  protected override meaning(code: number | null): string {
    if (code !== LOST) return super.meaning(code)
    return 'has lost its descriptors 3 and 4: importing the application closed what is not its own'
  }

  protected override greeting(): object {
    const { settings, generation, frontThreads, socketDir, user, group } = this.options
    return {
      app: settings.name,
      generation,
      module: settings.module,
      paste_global: settings.pasteGlobal,
      directory: settings.directory,
      python_path: settings.pythonPath,
      kind: settings.kind,
      preload: settings.preload,
      socket_dir: socketDir,
      user: user === '' ? null : user,
      group: group === '' ? null : group,
      umask: settings.umask < 0 ? null : settings.umask,
      env: settings.environment,
      threads: settings.threads,
      lifespan_state: settings.lifespanState,
      front_threads: frontThreads,
      graceful_timeout: settings.gracefulTimeout / 1000,
      gunicorn: this.options.gunicorn,
    }
  }

  protected override onEvent(event: any): void {
    switch (event.event) {
      case 'ready':
        return this.events.ready(`Python ${event.python}, process ${event.pid}`)
      case 'failed':
        return this.events.failed(event.error, event.traceback ?? '')
      case 'forked':
        return this.events.forked(event.slot, event.pid)
      case 'worker':
        return this.events.worker(event.slot, event.pid, event.paths ?? [event.path])
      case 'worker_failed':
        return this.events.workerFailed(event.slot, event.pid, event.error, event.traceback ?? '')
      case 'exited':
        return this.events.exited(event.slot, event.pid, event.status, event.signal)
      case 'halt':
        return this.events.halted?.(event.code, event.reason)
      case 'changed':
        return this.events.changed(event.file)
      case 'log':
        return this.events.log(LEVELS[event.level] ?? NOTICE, event.message)
      default:
        this.events.log(WARN, `the zygote reported an unknown event "${event.event}"`)
    }
  }
}
