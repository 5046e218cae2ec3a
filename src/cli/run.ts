// Running: the configuration becomes a plan, and the master carries it out. What takes long goes on at the same time: the
// front process and its threads load their code while the master reads and checks the configuration.

import { resolve } from 'node:path'
import { release } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Parsed } from '../config/parse.ts'
import { parseConfig } from '../config/parse.ts'
import type { Bundle, Source } from '../config/source.ts'
import { NGINX_VERSION, PRODUCT, VERSION } from '../lib/product.ts'
import { NOTICE, WARN } from '../log/error-log.ts'
import { daemonReady, isDaemon, leaveStderr, startDaemon } from '../process/daemon.ts'
import { isFirstProcess, letGo } from '../process/early-signals.ts'
import { adoptOrphans } from '../process/first-process.ts'
import { FrontHandle } from '../process/front-handle.ts'
import { inherited } from '../process/inheritance.ts'
import { limitsOf, RLIMIT_NOFILE } from '../process/limits.ts'
import type { FrontStderr } from '../process/front-keeper.ts'
import { Master } from '../process/master.ts'
import type { Companions, Program } from '../process/program.ts'
import type { ListenAddress } from '../http/server/server-block.ts'
import type { Plan, TopicMessage } from '../process/plan.ts'
import type { ServerBlock } from '../http/server/server-block.ts'
import { socketKeys } from '../stream/udp/listener.ts'
import type { TaskPools } from '../app/pool/task-pools.ts'
import type { StopSignals } from '../process/signals.ts'
import { startThreadPool } from '../process/thread-pool.ts'
import type { Command } from '../process/successor.ts'
import { COUNTS_BYTES, COUNTS_KEY } from '../zone/connection-counts.ts'
import { Control } from '../control/control.ts'
import { Applications } from './applications.ts'
import type { ServeSide } from './applications.ts'
import type { Configuration, ThreadData } from './configuration.ts'
import { ControlSide } from './control-side.ts'
import type { Invocation } from './invocation.ts'
import type { MasterLog } from './master-log.ts'
import { provideLogs } from './rehearsal.ts'
import { topLevelValue } from './top-level.ts'
// Not for use: who is root leaves compiled code of all that threads load, which they may read but not write (privileges.ts).
import './thread.ts'

/** Where the configuration's text is read anew at every reload: files, or what `serve` makes of its options. */
export type OpenSource = () => (Source & { bundle(): Bundle }) | Promise<Source & { bundle(): Bundle }>

/** What a command line may ask of the program it has started. */
export interface Steering {
  reload(): void
  halt(exitCode: number): void
}

const frontEntry = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './front.ts' : './front.js', import.meta.url),
)

/** By the launcher, which finds whatever program and Node stand in its place by then. */
const again: Command = commandAgain(process.env['PORTICO_INVOKED_AS'] ?? '')

function commandAgain(launcher: string): Command {
  if (launcher.includes('/')) return { program: resolve(launcher), args: process.argv.slice(2) }
  return { program: process.execPath, args: [...process.execArgv, ...process.argv.slice(1)] }
}

/** What another command line than nginx's has of its own. */
export interface Manners {
  readonly stopSignals: StopSignals
  /** What a service manager shows of a program that is well. */
  readonly status: string
  /** Where a successor starts; absent: where this program is. */
  readonly folder?: string
  /** A daemon writes on to where its caller did. */
  readonly keepsOutput: boolean
  /** Before anything starts. */
  begin(steering: Steering): void
  /** New addresses are bound. */
  bound(): void
  /** Everything accepts. */
  ready(): void
  /** What the applications of the configuration read last are given beside it. */
  serveSide(): ServeSide | null
  /** Those in use, where they are others than the configuration's. */
  settings(): Readonly<Record<string, unknown>> | null
}

const nginxManners: Manners = {
  stopSignals: 'nginx',
  status: 'serving',
  keepsOutput: false,
  begin() {},
  bound() {},
  ready() {},
  serveSide: () => null,
  settings: () => null,
}

/** Runs until stopped. @returns the exit code */
export async function run(
  invocation: Invocation,
  log: MasterLog,
  open: OpenSource,
  manners: Manners = nginxManners,
): Promise<number> {
  const source = await open()
  const parsed = parseConfig(source, invocation.file, invocation.directives)
  const daemon = topLevelValue(parsed, 'daemon') !== 'off'
  // A configuration that cannot even be parsed is refused right here.
  if (daemon && !isDaemon && inherited === null && parsed.errors.length === 0) {
    return startDaemon(manners.keepsOutput)
  }
  if (isFirstProcess) adoptOrphans()
  startThreadPool()
  const front = new FrontHandle(frontEntry, frontStderr(daemon && !manners.keepsOutput))
  front.send({ type: 'prepare', threads: threadsGuess(parsed) })
  const program = new Server(invocation, log, open, daemon, manners)
  const plan = await program.plan(source, parsed)
  if (plan === null) {
    front.kill()
    log.flush()
    return 1
  }
  const master = new Master(program, front, daemon, manners.stopSignals)
  letGo()
  program.side.master = master
  let exitCode: number | null = null
  manners.begin({
    reload: () => master.tell('reconfigure'),
    halt(code) {
      exitCode ??= code
      master.tell('terminate')
    },
  })
  const code = await master.run(plan)
  log.flush()
  return exitCode ?? code
}

function threadsGuess(parsed: Parsed): number {
  const count = Number(topLevelValue(parsed, 'worker_processes') ?? '1')
  return Number.isInteger(count) && count > 0 && count <= 64 ? count : 1
}

/** A daemon's caller must not wait for the end of an output that its processes hold open. */
function frontStderr(daemon: boolean): FrontStderr {
  return daemon ? 'ignore' : 'inherit'
}

class Server implements Program {
  readonly frontEntry = frontEntry
  readonly status: string
  readonly again: Command
  private readonly invocation: Invocation
  private readonly output: MasterLog
  private readonly open: OpenSource
  private readonly daemon: boolean
  private readonly manners: Manners
  /** What commands see and do. */
  readonly side: ControlSide
  private readonly control: Control
  private isReady = false
  private current: Plan | null = null
  private tasks: Promise<TaskPools> | null = null
  private readonly configurations = new WeakMap<Plan, Configuration>()
  private readonly applications = new WeakMap<Plan, Applications>()

  constructor(invocation: Invocation, log: MasterLog, open: OpenSource, daemon: boolean, manners: Manners) {
    this.invocation = invocation
    this.output = log
    this.open = open
    this.daemon = daemon
    this.manners = manners
    this.status = manners.status
    this.again = manners.folder === undefined ? again : { ...again, folder: manners.folder }
    const write = (level: number, message: string): void => this.log(level, message)
    this.side = new ControlSide(invocation, () => manners.settings(), write)
    this.control = new Control(this.side, predecessor, write)
  }

  async load(): Promise<Plan | null> {
    this.side.reloads++
    try {
      const source = await this.open()
      return await this.plan(source, parseConfig(source, this.invocation.file, this.invocation.directives))
    } catch (error) {
      const { tell } = await import('./check.ts')
      tell(error, this.output)
      return null
    }
  }

  /** Checks by compiling; what is wrong is logged. */
  async plan(source: Source & { bundle(): Bundle }, parsed: Parsed): Promise<Plan | null> {
    const [{ compile }, { tell }] = await Promise.all([import('./configuration.ts'), import('./check.ts')])
    const asRoot = process.geteuid?.() === 0
    try {
      const warn = (warning: Error): void => this.log(WARN, String(warning))
      const configuration = compile(source, parsed, this.invocation, asRoot, warn)
      const data: ThreadData = { invocation: this.invocation, asRoot, bundle: source.bundle() }
      return this.planOf(configuration, data)
    } catch (error) {
      tell(error, this.output)
      return null
    }
  }

  private planOf(configuration: Configuration, data: ThreadData): Plan {
    const { main, http, stream, mail, rawSockets } = configuration
    const blocks: readonly ServerBlock<any>[] = [http, stream, mail]
    const plan: Plan = {
      threads: main.threads,
      user: main.user,
      rawSockets,
      errorLog: main.errorLog,
      memory: [{ key: COUNTS_KEY, bytes: COUNTS_BYTES }, ...blocks.flatMap(({ shared }) => shared)],
      workingDirectory: main.workingDirectory,
      openFiles: main.openFiles,
      coreSize: main.coreSize,
      priority: main.priority,
      shutdownTimeout: main.shutdownTimeout,
      stopSignals: this.manners.stopSignals,
      listens: blocks.flatMap(({ listens }) => listens).flatMap(address => socketsOf(address, main.threads)),
      folders: blocks.flatMap(({ folders }) => folders),
      logFiles: [
        ...new Set([
          ...main.errorLog.flatMap(target => target.path ?? []),
          ...blocks.flatMap(({ logFiles }) => logFiles),
        ]),
      ],
      pidFile: main.pidFile,
      data,
    }
    this.configurations.set(plan, configuration)
    provideLogs(this.invocation.prefix, [...plan.logFiles, plan.pidFile])
    return plan
  }

  adopt(plan: Plan): void {
    const first = this.current === null
    this.current = plan
    this.output.adopt(plan.errorLog)
    this.side.use(this.configurations.get(plan)!, this.applications.get(plan)!)
    if (this.isReady) void this.useControl()
    if (!first) return
    this.log(NOTICE, `nginx/${NGINX_VERSION}`)
    this.log(NOTICE, `${PRODUCT}/${VERSION} on Node ${process.versions.node}`)
    this.log(NOTICE, `OS: Linux ${release()}`)
    this.log(NOTICE, `getrlimit(RLIMIT_NOFILE): ${limitsOf(RLIMIT_NOFILE)}`)
  }

  companions(plan: Plan, generation: number, broadcast: (content: TopicMessage) => void): Companions {
    const { main, http } = this.configurations.get(plan)!
    for (const word of main.environment) {
      const [name, value] = split(word)
      process.env[name] = value
    }
    const daemon = this.daemon && !this.manners.keepsOutput
    const log = (level: number, text: string): void => this.log(level, text)
    const before = this.current === null ? undefined : this.applications.get(this.current)
    const workersBefore = before?.workers ?? null
    const lostBefore = before?.lost ?? new Set<string>()
    const { tally } = this.side
    const serve = this.manners.serveSide()
    const taskPools = (): Promise<TaskPools> => this.taskPools()
    const around = { daemon, log, broadcast, serve, workersBefore, lostBefore, tally, taskPools }
    const applications = new Applications(http.apps, plan, generation, around)
    this.applications.set(plan, applications)
    this.side.add(applications)
    return applications
  }

  private taskPools(): Promise<TaskPools> {
    this.tasks ??= import('../app/pool/task-pools.ts').then(({ TaskPools: Pools }) => new Pools())
    return this.tasks
  }

  log(level: number, message: string): void {
    this.output.write(level, message)
  }

  reopenLogs(): void {
    this.output.reopen()
  }

  flushLogs(): void {
    this.output.flush()
  }

  bound(): void {
    this.manners.bound()
  }

  ready(): void {
    this.output.verbose = false
    this.output.flush()
    this.manners.ready()
    this.isReady = true
    void this.useControl().then(() => {
      if (!this.daemon) return
      if (!this.manners.keepsOutput) leaveStderr(this.current?.errorLog[0]?.path ?? null)
      daemonReady()
    })
  }

  /** Commands are taken once everything accepts. */
  private useControl(): Promise<void> {
    const configuration = this.isReady && this.current !== null ? this.configurations.get(this.current) : undefined
    return this.control.use(configuration?.main.control ?? null)
  }

  frontStderr(): FrontStderr {
    return frontStderr(this.daemon && !this.manners.keepsOutput)
  }

  ending(): void {
    this.control.close()
  }

  aloneAgain(): void {
    void this.control.restore()
  }
}

/** The master this one is to replace, as long as it is there. */
function predecessor(): number {
  return inherited !== null && process.ppid === inherited.master ? inherited.master : 0
}

/** An address is one socket, or one for each thread. */
function socketsOf(address: ListenAddress, threads: number): Plan['listens'] {
  const { key, host, port, path, backlog, ipv6only, options, udp, reuseport } = address
  const socket = { key, host, port, path, backlog, ipv6only, options, udp, reuseport }
  return socketKeys(key, udp && reuseport, threads).map(own => ({ ...socket, key: own }))
}

function split(word: string): [string, string] {
  const at = word.indexOf('=')
  return [word.slice(0, at), word.slice(at + 1)]
}
