// The process that loads a Python application once and forks its workers: starts it and speaks the control conversation of
// docs/bridge.md with it, one JSON object a line.

import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { AppSettings } from '../app.ts'
import { ERR, INFO, NOTICE, WARN } from '../../log/error-log.ts'
import { bridgeFolder, cannotStart, interpreterOf, pythonEnvironment } from './interpreter.ts'
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

/** A line longer than this is no answer of ours; a traceback is far from it. */
const LINE_MAX = 4 * 1024 * 1024

const LEVELS: Readonly<Record<string, number>> = { error: ERR, warn: WARN, notice: NOTICE, info: INFO }

export class Zygote implements Spawner {
  private readonly options: ZygoteOptions
  private readonly events: SpawnerEvents
  private child: ChildProcess | null = null
  private received = ''

  constructor(options: ZygoteOptions, events: SpawnerEvents) {
    this.options = options
    this.events = events
  }

  start(): void {
    const { settings, output } = this.options
    const python = interpreterOf(settings)
    // The name is for those who look at processes.
    const child = spawn(python, ['-m', 'portico_bridge', settings.name], {
      // The bridge itself goes to the application's folder, as the user who may have to be let in there.
      cwd: bridgeFolder(),
      env: pythonEnvironment(settings),
      stdio: ['ignore', output, output, 'pipe', 'pipe'],
      // A group of its own: Ctrl-C in a terminal is for the master, who then stops everybody in order.
      detached: true,
    })
    let ended = false
    const end = (how: string): void => {
      if (ended) return
      ended = true
      this.child = null
      this.events.ended(how)
    }
    child.once('error', error => {
      if (child.pid !== undefined) return
      this.events.failed(cannotStart(python, error), '')
      end('could not be started')
    })
    // 'close' comes when the control socket has been read to its end too, so no report is lost.
    child.once('close', (code, signal) => end(signal === null ? `exited with code ${code}` : `exited on ${signal}`))
    // Without descriptors there are not even the pipes.
    if (child.pid === undefined) return
    this.child = child
    const control = child.stdio[3] as Socket
    control.setEncoding('utf8')
    control.on('data', (text: string) => this.onText(text))
    control.on('error', () => {})
    const life = child.stdio[4] as Socket
    life.on('error', () => {})
    this.send(this.greeting())
  }

  fork(slot: number): void {
    this.send({ command: 'fork', slot })
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

  destroy(): void {
    this.child?.kill('SIGKILL')
  }

  private greeting(): object {
    const { settings, generation, frontThreads, socketDir, user, group } = this.options
    return {
      app: settings.name,
      generation,
      module: settings.module,
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

  private send(command: object): void {
    const control = this.child?.stdio[3] as Socket | undefined
    if (control !== undefined && control.writable) control.write(`${JSON.stringify(command)}\n`)
  }

  private onText(text: string): void {
    this.received += text
    for (let end = this.received.indexOf('\n'); end >= 0; end = this.received.indexOf('\n')) {
      const line = this.received.slice(0, end)
      this.received = this.received.slice(end + 1)
      this.onLine(line)
    }
    if (this.received.length <= LINE_MAX) return
    this.events.log(ERR, 'the zygote sent a line without end')
    this.destroy()
  }

  private onLine(line: string): void {
    let event: any
    try {
      event = JSON.parse(line)
    } catch {
      this.events.log(ERR, `the zygote sent what is not JSON: "${line.slice(0, 200)}"`)
      this.destroy()
      return
    }
    switch (event.event) {
      case 'ready':
        return this.events.ready(`Python ${event.python}, process ${event.pid}`)
      case 'failed':
        return this.events.failed(event.error, event.traceback ?? '')
      case 'worker':
        return this.events.worker(event.slot, event.pid, event.paths ?? [event.path])
      case 'worker_failed':
        return this.events.workerFailed(event.slot, event.pid, event.error, event.traceback ?? '')
      case 'exited':
        return this.events.exited(event.slot, event.pid, event.status, event.signal)
      case 'changed':
        return this.events.changed(event.file)
      case 'log':
        return this.events.log(LEVELS[event.level] ?? NOTICE, event.message)
      default:
        this.events.log(WARN, `the zygote reported an unknown event "${event.event}"`)
    }
  }
}
