// The process that hands an application's tasks to its task workers (python/portico_bridge/dirty): starts it and speaks with it.
// It is Gunicorn's "dirty arbiter", and its socket is the one that Gunicorn's client of it looks for.

import type { AppSettings, TaskSettings } from '../app.ts'
import { ALERT, ERR, INFO, NOTICE, WARN } from '../../log/error-log.ts'
import { PythonProcess } from './python-process.ts'
import type { PythonProcessEvents } from './python-process.ts'
import type { Output } from './spawner.ts'
import type { TaskWorker } from './tasks.ts'

export interface TaskArbiterOptions {
  readonly settings: AppSettings
  readonly tasks: TaskSettings
  /** Its path, and the socket itself, which listens. */
  readonly socket: string
  readonly listening: number
  readonly user: string
  readonly group: string
  readonly output: Output
  readonly gunicorn: object | null
}

/** What it tells whenever something has changed. */
export interface TaskState {
  readonly arbiter_pid: number
  readonly workers: readonly TaskWorker[]
  readonly target: number
  /** How many processes may have an application; null: all. */
  readonly limits: Readonly<Record<string, number | null>>
}

export interface TaskArbiterEvents extends PythonProcessEvents {
  ready(about: string): void
  state(state: TaskState): void
  /** What has come of a command with this number. */
  reply(id: number, result: object): void
}

const LEVELS: Readonly<Record<string, number>> = { alert: ALERT, error: ERR, warn: WARN, notice: NOTICE, info: INFO }

export class TaskArbiter extends PythonProcess {
  protected readonly title = 'the process for tasks'
  private readonly options: TaskArbiterOptions
  private readonly events: TaskArbiterEvents

  constructor(options: TaskArbiterOptions, events: TaskArbiterEvents) {
    super(events)
    this.options = options
    this.events = events
  }

  start(): void {
    const { settings, output, listening } = this.options
    this.launch('portico_bridge.dirty', settings, output, [listening])
  }

  protected override greeting(): object {
    const { settings, tasks, socket, user, group, gunicorn } = this.options
    return {
      app: settings.name,
      module: settings.module,
      directory: settings.directory,
      python_path: settings.pythonPath,
      user: user === '' ? null : user,
      group: group === '' ? null : group,
      umask: settings.umask < 0 ? null : settings.umask,
      env: settings.environment,
      socket,
      tasks: plain(tasks),
      gunicorn,
    }
  }

  protected override onEvent(event: any): void {
    switch (event.event) {
      case 'ready':
        return this.events.ready(`Python ${event.python}, process ${event.pid}`)
      case 'failed':
        return this.events.failed(event.error, event.traceback ?? '')
      case 'state':
        return this.events.state(event)
      case 'reply':
        return this.events.reply(event.id, event.result)
      case 'log':
        return this.events.log(LEVELS[event.level] ?? NOTICE, event.message)
      default:
        this.events.log(WARN, `the process for tasks reported an unknown event "${event.event}"`)
    }
  }
}

/** As Python has them: seconds. */
export function plain(tasks: TaskSettings): object {
  return {
    apps: tasks.apps,
    workers: tasks.workers,
    threads: tasks.threads,
    timeout: tasks.timeout / 1000,
    graceful_timeout: tasks.gracefulTimeout / 1000,
    queue: tasks.queue,
    stash_size: tasks.stashSize,
  }
}
