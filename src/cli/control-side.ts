// What commands of the control interface (src/control) see of this program: its applications with their workers, those of former
// configurations too, its sockets, its settings.

import type { AppPool } from '../app/pool/pool.ts'
import { Tally } from '../app/pool/roster.ts'
import type { Tasks } from '../app/pool/tasks.ts'
import type { App, FrontReport, ListeningAddress, Order, RunningProgram, Stats, Worker } from '../control/program.ts'
import { NOTICE } from '../log/error-log.ts'
import type { ListenAddress } from '../process/plan.ts'
import type { Master } from '../process/master.ts'
import type { Applications } from './applications.ts'
import type { Configuration } from './configuration.ts'
import type { Invocation } from './invocation.ts'

/** As the log says it of signals. */
const DOING: Readonly<Record<Order, string>> = {
  reconfigure: 'reconfiguring',
  reopen: 'reopening logs',
  quit: 'shutting down',
  terminate: 'exiting',
}

type Settings = Readonly<Record<string, unknown>>

export class ControlSide implements RunningProgram {
  readonly pid = process.pid
  readonly tally = new Tally()
  reloads = 0
  master: Master | null = null
  private readonly log: (level: number, message: string) => void
  private readonly startedMs = Date.now()
  private readonly invocation: Invocation
  private readonly ownSettings: () => Settings | null
  private readonly all = new Set<Applications>()
  private applications: Applications | null = null
  private configuration: Configuration | null = null

  /** @param settings those to be shown, null where they are the configuration's */
  constructor(invocation: Invocation, settings: () => Settings | null, log: (level: number, message: string) => void) {
    this.log = log
    this.invocation = invocation
    this.ownSettings = settings
  }

  add(applications: Applications): void {
    for (const one of this.all) if (one.isOver) this.all.delete(one)
    this.all.add(applications)
  }

  /** They are in use from now on. */
  use(configuration: Configuration, applications: Applications): void {
    this.configuration = configuration
    this.applications = applications
  }

  get stats(): Stats {
    const { spawned, killed } = this.tally
    return { startedMs: this.startedMs, spawned, killed, reloads: this.reloads }
  }

  get apps(): App[] {
    return this.applications?.inUse.map(pool => appOf(pool, this.applications!.tasksOf(pool.settings.name))) ?? []
  }

  get workers(): Worker[] {
    return this.pools.flatMap(pool => {
      const app = utf8(pool.settings.name)
      return pool.workers.filter(({ pid }) => pid > 0).map(worker => ({ ...worker, app }))
    })
  }

  get front(): number {
    return this.master?.frontPid ?? 0
  }

  get listeners(): ListeningAddress[] {
    return (this.master?.listening() ?? []).map(({ address, fd }) => ({
      address: utf8(this.urlOf(address)),
      fd,
      type: typeOf(address),
    }))
  }

  get settings(): Settings {
    return this.ownSettings() ?? this.configured()
  }

  async requests(): Promise<ReadonlyMap<number, number>> {
    const counts = await Promise.all([...this.all].map(one => one.requests()))
    return new Map(counts.flatMap(one => [...one]))
  }

  async report(): Promise<FrontReport> {
    const { front, applications } = this
    if (applications !== null && front !== 0) return await applications.report()
    return { threads: 0, silent: 0, connections: null, requests: null, apps: new Map() }
  }

  endWorker(pid: number): boolean {
    return this.pools.some(pool => pool.endWorker(pid))
  }

  tell(order: Order): void {
    this.log(NOTICE, `command received on the control socket, ${DOING[order]}`)
    this.master?.tell(order)
  }

  private get pools(): AppPool[] {
    return [...this.all].flatMap(applications => applications.all)
  }

  /** As Gunicorn writes addresses; what is no HTTP is named for what it is. */
  private urlOf(address: ListenAddress): string {
    const { host, port, path, udp = false } = address
    if (path !== '') return `unix:${path}`
    const same = (other: ListenAddress): boolean => other.host === host && other.port === port && !other.udp
    const http = this.configuration?.http.listens.find(same)
    const scheme = udp ? 'udp' : http === undefined ? 'tcp' : http.runtime.tls ? 'https' : 'http'
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
  }

  private configured(): Settings {
    if (this.configuration === null) return {}
    const { main, http } = this.configuration
    const several = http.apps.length > 1
    const ofApps = http.apps.map(app => {
      const shown = {
        application: utf8(app.module),
        directory: utf8(app.directory),
        worker_class: app.kind,
        workers: app.workers,
        threads: app.threads,
        timeout: app.timeout / 1000,
        graceful_timeout: app.gracefulTimeout / 1000,
        max_requests: app.maxRequests,
        max_requests_jitter: app.maxRequestsJitter,
        preload_app: app.preload,
      }
      const prefixed = Object.entries(shown).map(([name, value]) => [`${utf8(app.name)}.${name}`, value])
      return several ? Object.fromEntries(prefixed) : shown
    })
    return {
      config: utf8(this.invocation.file),
      bind: [...new Set(this.listeners.map(({ address }) => address))],
      front_threads: main.threads,
      daemon: main.daemon,
      pidfile: utf8(main.pidFile),
      user: main.user?.name ?? null,
      control_socket: main.control === null ? null : utf8(main.control.path),
      ...Object.assign({}, ...ofApps),
    }
  }
}

function appOf(pool: AppPool, tasks: Tasks | null): App {
  return {
    name: utf8(pool.settings.name),
    wanted: pool.wanted,
    tasks,
    resize(by) {
      const previous = pool.wanted
      pool.resize(by)
      return { previous, total: pool.wanted }
    },
  }
}

function typeOf({ host, path, udp = false }: ListenAddress): string {
  if (path !== '') return 'unix'
  return `${udp ? 'udp' : 'tcp'}${host.includes(':') ? '6' : ''}`
}

/** Names are kept with one character per byte. */
function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}
