// The directives outside of http (ngx_core_module, ngx_event_core_module), and what they come to as plain settings.

import { EVENTS, MAIL, MAIN, STREAM } from '../config/directive.ts'
import type { Directive, Scope, Site } from '../config/directive.ts'
import { ConfigError } from '../config/errors.ts'
import { errorLog } from '../config/error-log.ts'
import { parseNumber } from '../config/units.ts'
import {
  accepted,
  flag,
  list,
  number,
  offset,
  one,
  oneOf,
  path,
  refused,
  section,
  str,
  time,
} from '../config/values.ts'
import { processors } from '../lib/processors.ts'
import type { LogTarget } from '../log/error-log.ts'
import type { ControlPlace } from '../process/control-socket.ts'
import type { User } from '../process/plan.ts'
import { findGroup, findUser } from '../process/users.ts'
import { affinityProblem, cpuAffinity, type CpuAffinity } from './cpu-affinity.ts'

const user: Directive<User | null> = {
  in: MAIN,
  args: [1, 2],
  default: null,
  parse([name, group], at) {
    if (!isRoot()) {
      at.warn('the "user" directive makes sense only if the master process runs with super-user privileges, ignored')
      return null
    }
    const found = findUser(name!) ?? at.fail(`getpwnam("${name}") failed`)
    const gid = findGroup(group ?? name!) ?? at.fail(`getgrnam("${group ?? name}") failed`)
    return { name: name!, uid: found.uid, gid }
  },
}

const workerProcesses = one(MAIN, 1, (word, at) => {
  if (word === 'auto') return processors()
  return Math.max(parseNumber(word) ?? at.fail('"worker_processes" directive invalid value'), 1)
})

const workerPriority = one(MAIN, 0, (word, at) => {
  const sign = word.startsWith('-') ? -1 : 1
  return sign * (parseNumber(word.replace(/^[-+]/, '')) ?? at.fail('"worker_priority" directive invalid number'))
})

const workerConnections = one(EVENTS, 512, (word, at) => parseNumber(word) ?? at.fail(`invalid number "${word}"`))

/** nginx's name for what Node's event loop does on Linux. */
const use = one(EVENTS, 'epoll', (word, at) => {
  return ['epoll', 'poll', 'select'].includes(word) ? word : at.fail(`invalid event type "${word}"`)
})

/** There are no debug lines to be had: nginx has them only if built so. */
function debugConnection(args: readonly string[], at: Site): string {
  at.warn('"debug_connection" is ignored, you need to rebuild nginx using --with-debug option to enable it')
  return args[0]!
}

function loadModule(args: readonly string[], at: Site): string {
  at.warn(`"load_module" is ignored: modules are built in, "${args[0]}" is not loaded`)
  return args[0]!
}

/** `control_socket PATH [mode=0600] [optional]` */
const controlSocket: Directive<ControlPlace | null> = {
  in: MAIN,
  args: [1, 3],
  default: null,
  parse([path, ...parameters], at) {
    let mode = CONTROL_MODE
    let optional = false
    for (const parameter of parameters) {
      const digits = /^mode=(0?[0-7]{3})$/.exec(parameter)?.[1]
      if (digits !== undefined) mode = parseInt(digits, 8)
      else if (parameter === 'optional') optional = true
      else if (parameter.startsWith('mode=')) at.fail(`invalid mode "${parameter.slice(5)}"`, 'as in "mode=0660"')
      else at.fail(`invalid parameter "${parameter}"`)
    }
    if (path === '') at.fail('"control_socket" needs a path')
    return { path: at.prefixPath(path!), mode, optional }
  },
}

export const mainDirectives = {
  user,
  worker_processes: workerProcesses,
  pid: path(MAIN, null),
  error_log: errorLog,
  daemon: flag(MAIN, true),
  master_process: accepted(flag(MAIN, true)),
  env: list(MAIN, [1, 1], ([word]) => word!),
  control_socket: controlSocket,
  working_directory: str(MAIN, null),
  worker_priority: workerPriority,
  worker_rlimit_nofile: number(MAIN, 0),
  worker_shutdown_timeout: time(MAIN, 0),
  worker_rlimit_core: offset<number | null>(MAIN, null),
  worker_cpu_affinity: cpuAffinity,
  timer_resolution: accepted(time(MAIN, 0)),
  lock_file: accepted(str(MAIN, null)),
  pcre_jit: accepted(flag(MAIN, false)),
  ssl_engine: refused(
    MAIN,
    '"ssl_engine" is not supported: Node\'s OpenSSL loads no engines, keys are read from files',
  ),
  // Whose file has not changed holds what it held: a reload reads it again and finds the same.
  ssl_object_cache_inheritable: accepted(flag(MAIN, true)),
  thread_pool: accepted(list(MAIN, [2, 3], args => args)),
  debug_points: accepted(oneOf(MAIN, ['stop', 'abort'], null)),
  load_module: accepted(list(MAIN, [1, 1], loadModule)),
  events: section(MAIN, EVENTS),
  stream: section(MAIN, STREAM),
  mail: section(MAIN, MAIL),
}

export const eventsDirectives = {
  worker_connections: workerConnections,
  use: accepted(use),
  multi_accept: accepted(flag(EVENTS, false)),
  accept_mutex: accepted(flag(EVENTS, false)),
  accept_mutex_delay: accepted(time(EVENTS, 500)),
  worker_aio_requests: accepted(number(EVENTS, 32)),
  epoll_events: accepted(number(EVENTS, 512)),
  debug_connection: accepted(list(EVENTS, [1, 1], debugConnection)),
}

/** The values that do not concern http, all defaults filled in. */
export interface MainSettings {
  readonly daemon: boolean
  readonly user: User | null
  readonly threads: number
  readonly pidFile: string
  readonly errorLog: readonly LogTarget[]
  /** worker_connections: of each thread. */
  readonly connections: number
  readonly workingDirectory: string | null
  readonly openFiles: number
  /** Null: as it is. */
  readonly coreSize: number | null
  readonly cpuAffinity: CpuAffinity | null
  readonly priority: number
  readonly shutdownTimeout: number
  /** `NAME=value`. */
  readonly environment: readonly string[]
  /** Where commands are taken; null: nowhere. */
  readonly control: ControlPlace | null
}

const ERROR = 4
/** For nobody but the owner. */
const CONTROL_MODE = 0o600

/** @param fallbackLog where errors go if no `error_log` says so (`-e`); null: standard error */
export function mainSettings(
  main: Scope,
  prefix: string,
  fallbackLog: string | null,
  warn: (warning: ConfigError) => void,
): MainSettings {
  const conf = main.conf(mainDirectives)
  const events = main.children.find(scope => scope.context === EVENTS)
  if (events === undefined) throw new ConfigError('no "events" section in configuration')
  const problem = affinityProblem(conf.worker_cpu_affinity, conf.worker_processes)
  if (problem !== '') warn(new ConfigError(problem))
  return {
    daemon: conf.daemon,
    user: conf.user ?? defaultUser(),
    threads: conf.worker_processes,
    pidFile: conf.pid ?? `${prefix}logs/nginx.pid`,
    errorLog: conf.error_log.length > 0 ? conf.error_log : [{ path: fallbackLog, level: ERROR }],
    connections: events.conf(eventsDirectives).worker_connections,
    workingDirectory: conf.working_directory,
    openFiles: conf.worker_rlimit_nofile,
    coreSize: conf.worker_rlimit_core,
    cpuAffinity: conf.worker_cpu_affinity,
    priority: conf.worker_priority,
    shutdownTimeout: conf.worker_shutdown_timeout,
    environment: conf.env.filter(word => word.includes('=')),
    control: conf.control_socket,
  }
}

/** Root never serves as root by accident. */
function defaultUser(): User | null {
  if (!isRoot()) return null
  const found = findUser('nobody')
  if (found === null) throw new ConfigError('getpwnam("nobody") failed')
  return { name: 'nobody', uid: found.uid, gid: findGroup('nogroup') ?? findGroup('nobody') ?? found.gid }
}

export function isRoot(): boolean {
  return process.geteuid?.() === 0
}
