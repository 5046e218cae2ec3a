// A process of the bridge (python/portico_bridge) that the master starts and speaks with: the zygote, or the arbiter of tasks.
//
//   3 ◀─▶ commands and events, a JSON object a line       4 ◀─ its end tells the process that the master has gone

import type { ChildProcess, SpawnOptions } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { AppSettings } from '../app.ts'
import { ERR } from '../../log/error-log.ts'
import { startChild } from '../../process/start-child.ts'
import { ControlLines } from './control-lines.ts'
import { bridgeFolder, cannotStart, interpreterOf, pythonEnvironment } from './interpreter.ts'
import type { Output } from './spawner.ts'

/** For reading what a process has said before it ended. */
const DRAIN_MS = 250
/** The bridge's exit code (python/portico_bridge/__main__.py) where it cannot run. */
const TOO_OLD = 69

export interface PythonProcessEvents {
  failed(error: string, traceback: string): void
  /** Nothing more will be reported. */
  ended(how: string): void
  log(level: number, message: string): void
}

export abstract class PythonProcess {
  /** For messages. */
  protected abstract readonly title: string
  private readonly reports: PythonProcessEvents
  private child: ChildProcess | null = null
  private control: ControlLines | null = null

  constructor(reports: PythonProcessEvents) {
    this.reports = reports
  }

  /** What it is told first. */
  protected abstract greeting(): object
  protected abstract onEvent(event: any): void

  /** @param passed descriptors it has from 5 on */
  protected launch(module: string, settings: AppSettings, output: Output, passed: readonly number[] = []): void {
    const python = interpreterOf(settings)
    const options: SpawnOptions = {
      // In the folder we were started in, as what runs when Python starts expects: names of files in its environment may be
      // relative. The bridge itself goes to the application's folder, as the user who may have to be let in there.
      env: pythonEnvironment(settings),
      stdio: ['ignore', output, output, 'pipe', 'pipe', ...passed],
      // A group of its own: Ctrl-C in a terminal is for the master, who then stops everybody in order.
      detached: true,
    }
    // By its folder, and not by -m, which looks for every module in the current folder first. The name is for those who look at
    // processes.
    const folder = join(bridgeFolder(), ...module.split('.'))
    const child = startChild(python, [folder, settings.name], options, error => this.notStarted(python, error))
    if (child === null) return
    // 'close' comes when the control socket has been read to its end too, so no report is lost.
    child.once('close', (code, signal) => {
      if (child.pid !== undefined) this.gone(signal === null ? this.meaning(code) : `exited on ${signal}`)
    })
    // Unless somebody else holds the other end: what the application has forked must not keep its application waiting.
    child.once('exit', () => setTimeout(() => child.stdio.forEach(one => one?.destroy()), DRAIN_MS).unref())
    // Without descriptors there are not even the pipes.
    if (child.pid === undefined) return
    this.child = child
    this.control = new ControlLines(
      child.stdio[3] as Socket,
      event => this.onEvent(event),
      what => {
        this.reports.log(ERR, `${this.title} sent ${what}`)
        this.destroy()
      },
    )
    const life = child.stdio[4] as Socket
    life.on('error', () => {})
    this.send(this.greeting())
  }

  /** 0: there is none. */
  get pid(): number {
    return this.child?.pid ?? 0
  }

  send(command: object): void {
    this.control?.send(command)
  }

  /** The last resort. */
  destroy(): void {
    this.child?.kill('SIGKILL')
  }

  protected meaning(code: number | null): string {
    return code === TOO_OLD ? 'has a Python older than 3.9 (--python, "python")' : `exited with code ${code}`
  }

  private notStarted(python: string, error: Error): void {
    this.reports.failed(cannotStart(python, error), '')
    this.gone('could not be started')
  }

  private gone(how: string): void {
    this.child = null
    this.control = null
    this.reports.ended(how)
  }
}
