// What modules share while an http block is compiled, and what the running thread offers them.

import type { Place, Scope, Site } from '../config/directive.ts'
import type { DataFile } from '../config/source.ts'
import type { Template } from '../config/template.ts'
import type { AppSettings } from '../app/app.ts'
import type { ErrorLog, LogFiles } from '../log/error-log.ts'
import type { Value, Variable } from './module.ts'
import type { Notes } from './notes.ts'

/** Something several modules look up by name (upstream groups, applications, zones); one registry per http block. */
export class Registry<T> {
  readonly kind: string
  private readonly entries = new Map<string, T>()
  constructor(kind: string) {
    this.kind = kind
  }
  get(name: string): T | null {
    return this.entries.get(name) ?? null
  }
  /** Adds, refusing a second one of the same name in nginx's words. */
  add(name: string, entry: T, at: Site): void {
    if (this.entries.has(name)) at.fail(`duplicate ${this.kind} "${name}"`)
    this.entries.set(name, entry)
  }
  set(name: string, entry: T): void {
    this.entries.set(name, entry)
  }
  values(): IterableIterator<T> {
    return this.entries.values()
  }
}

/** Names a registry and its entries' type. */
export class RegistryKey<T> {
  readonly kind: string
  declare readonly entry: T
  constructor(kind: string) {
    this.kind = kind
  }
}

/** What a front thread gives to modules; the master, which only checks, starts nothing. */
export interface ThreadServices {
  /** Index of this front thread, from 0, and how many there are. */
  readonly thread: number
  readonly threads: number
  readonly errorLog: ErrorLog
  readonly logFiles: LogFiles
  /** Descriptors that this thread accepts connections on. */
  readonly listening: readonly number[]
  /** Memory all threads of the front share, declared with HttpSetup.sharedMemory; survives a reload when the size is the same. */
  shared(key: string): SharedArrayBuffer
  /** Sends a JSON-able message to the master's listener for that topic. */
  toMaster(topic: string, message: unknown): void
  /** Messages the master sends to every thread of this configuration on that topic. */
  onMessage(topic: string, receive: (message: any) => void): void
}

export interface HttpSetup {
  readonly scope: Scope
  /** Where `portico explain` listens; null in a server. */
  readonly notes: Notes | null
  /** The registry of that kind; the same one for every module of this http block. */
  registry<T>(key: RegistryKey<T>): Registry<T>
  /** Defines a variable that the configuration introduces (map, geo, set). */
  define(name: string, variable: Variable, at: Site): void
  value(template: Template): Value
  /** The variable of that lower-case name, if there is one so far; not counted families such as `http_`, nor what yields. */
  defined(name: string): Variable | null
  /** As that, with the families; for names that come up when requests are served, after everything is compiled. */
  find(name: string): Variable | null
  /** The variable of that lower-case name, whose null is "not found" (`-` in a log); refuses an unknown one at the place. */
  variable(name: string, at: Place): Variable
  /** Called in each front thread once the configuration is in use, and before it accepts. */
  onStart(run: (services: ThreadServices) => void): void
  /** Called in each thread when it takes no more connections: others go on with what is not its requests'. */
  onRetire(run: () => void): void
  /** Called in each thread when it has finished its last request, or must stop. */
  onStop(run: () => void): void
  /** Of what is odd but usable, and seen only once the block is complete: told as of its end. */
  warn(problem: string): void
  /** Asks for shared memory (bytes, zeroed when new), given out by ThreadServices.shared. */
  sharedMemory(key: string, bytes: number): void
  /** The text of a file that only the master may be able to read: certificates, keys. */
  readData(path: string): DataFile
  /** A folder that must exist and belong to the user the front runs as (temp paths). */
  needsFolder(path: string): void
  /** A log file, opened by path in each thread; the master creates it first and gives it to the user. */
  needsLogFile(path: string): void
  /** An application the master must run workers for (src/app/settings of that name). */
  needsApp(settings: AppSettings): void
}
