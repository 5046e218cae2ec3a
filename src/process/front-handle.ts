// The front process as the master sees it.

import type { ChildProcess, StdioOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import { handleOf } from './descriptor-handle.ts'
import type { FromFront, ToFront } from './messages.ts'
import { startChild } from './start-child.ts'
import { reason } from './system-error.ts'

export interface FrontEvents {
  message(front: FrontHandle, message: FromFront): void
  /** Once, last. */
  exited(front: FrontHandle, code: number | null, signal: NodeJS.Signals | null): void
}

/** MB of a thread's memory for what is new, of which V8 has up to three: by itself it takes 16, and keeps them. Ten thousand
 *  requests that wait have then made it grow by more than they need themselves. To wake helpers for so little costs more than
 *  they spare. */
const MEMORY = ['--max-semi-space-size=2', '--no-parallel-scavenge']

/** V8 compiles with its last compiler what has been called 3,000 times; which is late for functions that run once a request. */
const COMPILING = ['--invocation-count-for-turbofan=1500']

/** How long a front that was told to end at once may take. */
const FAST_END_MS = 3000

export class FrontHandle {
  readonly pid: number
  readonly startedAt = performance.now()
  /** It was told to go. */
  leaving = false
  /** Its threads accept connections, of one generation at least. */
  serving = false
  /** Why there has never been a process; '' where there is or was one. */
  failure = ''
  private readonly child: ChildProcess | null
  private events: FrontEvents | null = null
  private end: { code: number | null; signal: NodeJS.Signals | null } | null = null

  /** @param stderr where the process's own complaints go: inherited, nowhere, or to a descriptor */
  constructor(entry: string, stderr: 'inherit' | 'ignore' | number) {
    const stdio: StdioOptions = ['ignore', stderr === 'inherit' ? 'inherit' : 'ignore', stderr, 'ipc']
    const args = [...process.execArgv, ...MEMORY, ...COMPILING, entry]
    const child = startChild(process.execPath, args, { stdio, detached: true }, error => this.notStarted(error))
    this.child = child
    this.pid = child?.pid ?? 0
    child?.on('message', (message: FromFront) => this.events?.message(this, message))
    child?.on('exit', (code, signal) => this.exit(code, signal))
  }

  private notStarted(error: unknown): void {
    const noDevice = (error as NodeJS.ErrnoException).code === 'ENOENT' && existsSync(process.execPath)
    const file = noDevice ? '/dev/null' : process.execPath
    this.failure = `the front process could not be started ("${file}": ${reason(error)})`
    this.exit(1, null)
  }

  /** Whoever started it speculatively has no use for its events; the master has. */
  attach(events: FrontEvents): void {
    if (this.events !== null) return
    this.events = events
    if (this.end !== null) events.exited(this, this.end.code, this.end.signal)
  }

  send(message: ToFront): void {
    if (this.isThere()) this.child!.send(message)
  }

  /** Hands over a copy of a listening socket. */
  sendSocket(key: string, fd: number, udp = false): void {
    if (!this.isThere()) return
    const handle = handleOf(fd, udp)
    const message: ToFront = { type: 'socket', key }
    this.child!.send(message, handle as never, {}, () => handle.close())
  }

  stop(ending: 'graceful' | 'fast'): void {
    this.leaving = true
    this.send({ type: 'stop', ending })
    if (ending === 'fast') setTimeout(() => this.kill(), FAST_END_MS).unref()
  }

  kill(): void {
    this.leaving = true
    this.child?.kill('SIGKILL')
  }

  private isThere(): boolean {
    return this.pid !== 0 && this.child!.connected
  }

  private exit(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.end !== null) return
    this.end = { code, signal }
    this.events?.exited(this, code, signal)
  }
}
