// Starts the program as a user would, on free ports and in a folder of its own, and stops it again. Whatever a test does,
// it leaves no process and no socket file: a stop that does fails the test.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, within } from './eventually.ts'
import { accepts, freePorts } from './ports.ts'
import { isAlive, killAll, processesWith, processTree, signalTo } from './processes.ts'
import type { Process } from './processes.ts'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'
import { tempDir, writeFiles } from './temp-dir.ts'
import type { Files } from './temp-dir.ts'

/** The checkout's launcher, which runs the source as it is. */
export const CHECKOUT = fileURLToPath(new URL('../../bin/portico', import.meta.url))
/** The program under test: PORTICO_BIN names the package that scripts/test.ts has made. */
export const PORTICO = process.env['PORTICO_BIN'] ?? CHECKOUT

const START_MS = 60_000
const STOP_MS = 60_000
/** For the last of its output, once it has ended. */
const OUTPUT_MS = 5000
/** For what a master leaves to the kernel to end. */
const LEAVE_MS = 10_000
const TRIES = 3

export interface ServeOptions {
  /**
   * The configuration. `%%DIR%%` stands for the folder, `%%PORT_0%%`, `%%PORT_1%%`… for free ports. `daemon`, `pid`,
   * `error_log`, `events` and, for root, `user` are added where it does not have them.
   */
  readonly conf: string
  /** Files to write below the folder first. */
  readonly files?: Files
  /** A folder of the caller's, by default a new one. */
  readonly dir?: string
  /** Further arguments, after `-p DIR -c FILE -e error.log`. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Ports for the marks instead of new ones: how a second server gets the first one's. */
  readonly ports?: readonly number[]
  /** Another program than the one under test. */
  readonly program?: string
}

/** The whole configuration, or that and more. */
export async function serve(t: Scope, what: string | ServeOptions): Promise<Server> {
  const options = typeof what === 'string' ? { conf: what } : what
  const dir = options.dir ?? tempDir(t)
  if (options.files !== undefined) writeFiles(dir, options.files)
  return start(t, dir, countMarks(options.conf), options.ports, ports => {
    const conf = fill(complete(options.conf), dir, ports)
    mkdirSync(join(dir, 'logs'), { recursive: true })
    writeFileSync(join(dir, 'portico.conf'), conf)
    return {
      args: ['-p', `${dir}/`, '-c', 'portico.conf', '-e', 'error.log', ...(options.args ?? [])],
      env: options.env ?? {},
      listening: ports.filter((_, i) =>
        new RegExp(`^\\s*listen\\s.*%%PORT_${i}%%(?!.*\\b(?:udp|quic)\\b)`, 'm').test(options.conf),
      ),
      pidFile: resolve(dir, /^\s*pid\s+([^\s;]+)/m.exec(conf)![1]!),
      quit: 'SIGQUIT',
      program: options.program ?? null,
    }
  })
}

export interface ServeAppOptions {
  readonly files?: Files
  readonly dir?: string
  readonly env?: Readonly<Record<string, string>>
}

/** `portico serve ARGS` in a folder of its own; adds `--bind 127.0.0.1:PORT` unless the arguments bind. */
export async function serveApp(t: Scope, args: readonly string[], options: ServeAppOptions = {}): Promise<Server> {
  const dir = options.dir ?? tempDir(t)
  if (options.files !== undefined) writeFiles(dir, options.files)
  const binds = args.some(arg => /^(?:-b|--bind)/.test(arg))
  const marks = Math.max(countMarks(args.join(' ')), 1)
  return start(t, dir, marks, undefined, ports => ({
    args: ['serve', ...(binds ? [] : ['--bind', `127.0.0.1:${ports[0]}`]), ...args.map(arg => fill(arg, dir, ports))],
    env: options.env ?? {},
    listening: binds ? [] : [ports[0]!],
    pidFile: null,
    quit: 'SIGTERM',
    program: null,
  }))
}

interface Start {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly listening: readonly number[]
  readonly pidFile: string | null
  readonly quit: NodeJS.Signals
  readonly program: string | null
}

/** The ports were free a moment ago; when one no longer is, it is tried again with others. */
async function start(
  t: Scope,
  dir: string,
  count: number,
  fixed: readonly number[] | undefined,
  plan: (ports: readonly number[]) => Start,
): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const ports = fixed ?? (await freePorts(count))
    const server = new Server(dir, ports, plan(ports))
    try {
      await server.ready()
    } catch (error) {
      server.kill()
      if (fixed === undefined && attempt < TRIES && /EADDRINUSE|already in use/.test(String(error))) continue
      throw error
    }
    atEnd(t, () => server.stop())
    return server
  }
}

let serial = 0

export class Server {
  readonly dir: string
  /** What the marks became, in their order. */
  readonly ports: readonly number[]
  readonly child: ChildProcess
  /** Resolves with the exit code of the process started, or the signal's name. */
  readonly exited: Promise<number | string>
  /** What it wrote to stdout and stderr. */
  output = ''
  stdout = ''
  readonly #plan: Start
  /** In the environment of every process it starts, however they detach themselves. */
  readonly #mark: string
  #stopped: Promise<number | string> | null = null

  constructor(dir: string, ports: readonly number[], plan: Start) {
    this.dir = dir
    this.ports = ports
    this.#plan = plan
    this.#mark = `${process.pid}-${++serial}`
    mkdirSync(join(dir, 'tmp'), { recursive: true, mode: 0o777 })
    this.child = spawn(plan.program ?? process.env['PORTICO_BIN'] ?? PORTICO, plan.args, {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      // Python must not leave compiled files in folders of the checkout, nor sockets go elsewhere than below `dir`: a control
      // socket of the user's would be that of one server at a time.
      env: {
        ...process.env,
        TMPDIR: join(dir, 'tmp'),
        XDG_RUNTIME_DIR: join(dir, 'tmp'),
        PYTHONDONTWRITEBYTECODE: '1',
        ...plan.env,
        PORTICO_TEST: this.#mark,
      },
    })
    this.child.stdout?.on('data', bytes => {
      this.output += bytes
      this.stdout += bytes
    })
    this.child.stderr?.on('data', bytes => (this.output += bytes))
    this.exited = new Promise(settle => {
      this.child.once('error', error => settle(error.message))
      this.child.once('exit', (code, signal) => {
        // What it has written last may still be on its way; but a process left behind may hold the pipes open.
        const late = setTimeout(settle, OUTPUT_MS, code ?? signal ?? -1)
        this.child.once('close', () => {
          clearTimeout(late)
          settle(code ?? signal ?? -1)
        })
      })
    })
    alive.add(this)
  }

  /** The first port. */
  get port(): number {
    return this.ports[0]!
  }

  /** The master's: from the pid file if there is one. */
  get pid(): number {
    const file = this.#plan.pidFile
    return file !== null && existsSync(file) ? Number(readFileSync(file, 'latin1')) : this.child.pid!
  }

  errorLog(): string {
    return this.file('error.log')
  }

  accessLog(): string {
    return this.file(existsSync(join(this.dir, 'access.log')) ? 'access.log' : 'logs/access.log')
  }

  /** A file below the folder as latin1, empty when it is not there. */
  file(name: string): string {
    const path = join(this.dir, name)
    return existsSync(path) ? readFileSync(path, 'latin1') : ''
  }

  /** Every process of it. */
  processes(): Process[] {
    const known = new Map<number, Process>()
    for (const one of [...processTree(this.child.pid ?? -1), ...processesWith(`PORTICO_TEST=${this.#mark}`)]) {
      known.set(one.pid, one)
    }
    return [...known.values()]
  }

  signal(name: NodeJS.Signals): void {
    signalTo(this.pid, name)
  }

  /** Replaces the configuration if one is given, sends HUP and waits until the log tells of a reconfiguration. */
  async reload(conf?: string): Promise<void> {
    if (conf !== undefined) writeFileSync(join(this.dir, 'portico.conf'), fill(complete(conf), this.dir, this.ports))
    const before = this.errorLog().length
    this.signal('SIGHUP')
    await eventually(() => /reconfigur|\[emerg\]/.test(this.errorLog().slice(before)), START_MS)
  }

  /** Resolves when it serves: pid file written and ports accepting. Throws what it said when it exits instead. */
  async ready(): Promise<void> {
    const serving = eventually(async () => {
      if (this.#stopped !== null) return true
      if (this.#plan.pidFile !== null && !existsSync(this.#plan.pidFile)) return false
      for (const port of this.#plan.listening) if (!(await accepts(port))) return false
      return true
    }, START_MS)
    const gone = this.exited.then(async how => {
      // A daemon's starter leaves with 0 and the daemon goes on.
      if (how === 0 && this.processes().length > 0) return serving
      this.#stopped = this.exited
      throw new Error(`portico ended (${how}) before it served:\n${this.output || this.errorLog()}`)
    })
    try {
      await Promise.race([serving, gone])
    } catch (error) {
      serving.catch(() => {})
      throw String(error).includes('ended (')
        ? error
        : new Error(`portico does not serve:\n${this.output}${this.errorLog()}`)
    }
    gone.catch(() => {})
  }

  /**
   * Stops it (gracefully unless told otherwise) and makes sure that nothing is left. Resolves with the exit code; once
   * stopped, it does nothing.
   */
  stop(signal: NodeJS.Signals = this.#plan.quit): Promise<number | string> {
    this.#stopped ??= this.#stop(signal)
    return this.#stopped
  }

  async #stop(signal: NodeJS.Signals): Promise<number | string> {
    const running = this.processes()
    const master = running.find(one => one.pid === this.pid)
    try {
      if (master !== undefined) signalTo(master.pid, signal)
      await eventually(() => master === undefined || !isAlive(master), STOP_MS)
      const how = await within(this.exited, STOP_MS, () => `no exit after ${signal}`)
      // The kernel may need a moment to end what is told by a closed pipe.
      await eventually(() => !running.some(isAlive) && !this.processes().some(isAlive), LEAVE_MS)
      const sockets = await this.#deadSockets()
      if (sockets.length > 0) throw new Error(`socket files left behind: ${sockets.join(', ')}`)
      return how
    } catch (error) {
      const left = [...running, ...this.processes()].filter(isAlive).map(one => `${one.pid} ${one.command}`)
      const why = `portico did not stop cleanly on ${signal}: ${String(error)}; left: ${left.join('; ') || 'none'}`
      throw new Error(`${why}\n${this.errorLog().slice(-4000)}`, { cause: error })
    } finally {
      killAll(running)
      this.kill()
    }
  }

  /** Ends every process of it at once. */
  kill(): void {
    killAll(this.processes())
    alive.delete(this)
  }

  /** Socket files below the folder that nobody listens on. */
  async #deadSockets(): Promise<string[]> {
    if (!existsSync(this.dir)) return []
    const entries = readdirSync(this.dir, { withFileTypes: true, recursive: true })
    const sockets = entries.filter(entry => entry.isSocket()).map(entry => join(entry.parentPath, entry.name))
    const answers = await Promise.all(sockets.map(accepts))
    return sockets.filter((_, i) => answers[i] === false)
  }
}

// A test process that is told to go takes its servers with it.
const alive = new Set<Server>()
process.once('exit', () => {
  for (const server of alive) killAll(server.processes())
})
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.once(name, () => process.exit(name === 'SIGTERM' ? 143 : 130))
}

/** What nginx wants of a configuration and no test is about. */
export function complete(conf: string): string {
  const has = (name: string): boolean => new RegExp(`(?:^|[;{}])\\s*${name}\\s`, 'm').test(conf)
  const lines = []
  if (!has('daemon')) lines.push('daemon off;')
  if (!has('pid')) lines.push('pid %%DIR%%/portico.pid;')
  if (!has('error_log')) lines.push('error_log %%DIR%%/error.log info;')
  if (!has('user') && process.getuid?.() === 0) lines.push('user root;')
  if (!has('events')) lines.push('events {}')
  // At the end, so that line numbers in messages are those of the test's own text.
  return `${conf}\n${lines.join('\n')}\n`
}

export function countMarks(text: string): number {
  const numbers = [...text.matchAll(/%%PORT_(\d+)%%/g)].map(match => Number(match[1]) + 1)
  return Math.max(0, ...numbers)
}

export function fill(text: string, dir: string, ports: readonly number[]): string {
  return text.replaceAll('%%DIR%%', dir).replaceAll(/%%PORT_(\d+)%%/g, (_, index) => String(ports[Number(index)]))
}
