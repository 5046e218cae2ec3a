// What the modules of one block (http, stream) define and ask for while it is compiled: registries, variables, shared memory,
// files, and what is to run when a thread starts and stops.

import type { AppSettings } from '../../app/app.ts'
import type { Place, Scope, Site } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import { readDataFile, type DataFile } from '../../config/source.ts'
import { compileTemplate, type Template } from '../../config/template.ts'
import type { Value, Variable } from '../module.ts'
import type { Notes } from '../notes.ts'
import { Registry, type HttpSetup, type RegistryKey, type ThreadServices } from '../setup.ts'
import { captureVariable } from './variables.ts'

export interface CompileOptions {
  /** What relative paths are relative to, with its final slash. */
  readonly prefix: string
  /** May ports below 1024 be bound? It decides where a server without `listen` listens. */
  readonly asRoot: boolean
  readonly warn: (warning: ConfigError) => void
  /** Certificates and keys, as the master has read them. */
  readonly readData?: (path: string) => DataFile
  readonly notes?: Notes | null
}

type Variables = Readonly<Record<string, Variable>>
type Families = Readonly<Record<string, (rest: string) => Variable>>

export class Definitions implements HttpSetup {
  readonly scope: Scope
  readonly notes: Notes | null
  readonly folders: string[] = []
  readonly logFiles: string[] = []
  readonly shared: { key: string; bytes: number }[] = []
  readonly apps: AppSettings[] = []
  readonly options: CompileOptions
  protected readonly starts: ((services: ThreadServices) => void)[] = []
  protected readonly retires: (() => void)[] = []
  protected readonly stops: (() => void)[] = []
  private readonly registries = new Map<RegistryKey<any>, Registry<any>>()
  private readonly core: Variables
  private readonly variables: Map<string, Variable>
  /** Members of families that were asked for. */
  private readonly made = new Map<string, Variable>()
  private readonly prefixes: Map<string, (rest: string) => Variable>
  private readonly awaited: { name: string; place: Place }[] = []

  /** @param scope null: there is no such block */
  constructor(scope: Scope | null, options: CompileOptions, core: Variables, families: Families) {
    this.scope = scope as Scope
    this.options = options
    this.notes = options.notes ?? null
    this.core = core
    this.variables = new Map(Object.entries(core))
    this.prefixes = new Map(Object.entries(families))
  }

  /** A module's own. */
  protected addVariables(variables: Variables, families: Families): void {
    for (const [name, variable] of Object.entries(variables)) this.variables.set(name, variable)
    for (const [prefix, make] of Object.entries(families)) this.prefixes.set(prefix, make)
  }

  /** When all modules have spoken: was everything defined that somebody named? */
  protected checkAwaited(): void {
    for (const { name, place } of this.awaited) {
      if (this.lookup(name) === null) throw ConfigError.at(place, `unknown "${name}" variable`)
    }
    if (this.scope !== null) this.check(this.scope)
  }

  private check(scope: Scope): void {
    for (const check of scope.checks) check(this)
    for (const inner of scope.children) this.check(inner)
  }

  knows(variable: string): boolean {
    return this.lookup(variable) !== null
  }

  registry<T>(key: RegistryKey<T>): Registry<T> {
    let registry = this.registries.get(key) as Registry<T> | undefined
    if (registry === undefined) {
      registry = new Registry<T>(key.kind)
      this.registries.set(key, registry)
    }
    return registry
  }

  define(name: string, variable: Variable, at: Site): void {
    const present = this.defined(name)
    if (present !== null && this.core[name] !== undefined && present.set === undefined) {
      at.fail(`the duplicate "${name}" variable`)
    }
    this.variables.set(name, variable)
  }

  value(template: Template): Value {
    return compileTemplate(template, name => {
      const variable = this.variable(name, template.place)
      return r => variable.get(r) ?? ''
    })
  }

  variable(name: string, at: Place): Variable {
    const variable = this.lookup(name)
    if (variable !== null) return variable
    // A map or set further down may define it; checked when all modules have spoken.
    this.awaited.push({ name, place: at })
    let late: Variable | null = null
    return { get: r => (late ??= this.lookup(name))?.get(r) ?? null }
  }

  defined(name: string): Variable | null {
    const variable = this.variables.get(name) ?? null
    return variable?.yields === true ? null : variable
  }

  find(name: string): Variable | null {
    const known = this.variables.get(name) ?? this.made.get(name)
    if (known !== undefined) return known
    for (const [prefix, make] of this.prefixes) {
      if (name.startsWith(prefix)) return make(name.slice(prefix.length))
    }
    return null
  }

  private lookup(name: string): Variable | null {
    if (/^[1-9]$/.test(name)) return captureVariable(Number(name))
    const variable = this.find(name)
    if (variable !== null && !this.variables.has(name)) this.made.set(name, variable)
    return variable
  }

  onStart(run: (services: ThreadServices) => void): void {
    this.starts.push(run)
  }

  onRetire(run: () => void): void {
    this.retires.push(run)
  }

  onStop(run: () => void): void {
    this.stops.push(run)
  }

  warn(problem: string): void {
    this.options.warn(ConfigError.at(this.scope.statement!.end, problem))
  }

  sharedMemory(key: string, bytes: number): void {
    this.shared.push({ key, bytes })
  }

  readData(path: string): DataFile {
    return (this.options.readData ?? readDataFile)(path)
  }

  needsFolder(path: string): void {
    if (!this.folders.includes(path)) this.folders.push(path)
  }

  needsLogFile(path: string): void {
    if (!this.logFiles.includes(path)) this.logFiles.push(path)
  }

  needsApp(settings: AppSettings): void {
    this.apps.push(settings)
  }
}
