// `portico serve`, running: what was composed, in the ordinary program, with Gunicorn's manners where they differ from nginx's:
// its signals, its exit codes, its word to systemd, and a reload that reads options and configuration file anew.

import { basename } from 'node:path'
import { isatty } from 'node:tty'
import type { Settings } from '../app/settings/command-line.ts'
import { addressUrl } from '../app/settings/bind.ts'
import { greeting, kindOf, within } from '../app/settings/configuration.ts'
import { UsageError } from '../app/settings/setting.ts'
import { ConfigError } from '../config/errors.ts'
import { FileSource } from '../config/source.ts'
import type { Bundle, DataFile, Source } from '../config/source.ts'
import { PRODUCT, VERSION } from '../lib/product.ts'
import { Statsd } from '../log/statsd.ts'
import { takeSockets } from '../process/given-sockets.ts'
import type { ServeSide } from './applications.ts'
import type { Invocation } from './invocation.ts'
import { print } from './master-log.ts'
import type { Manners, Steering } from './run.ts'
import type { Addresses } from './serve-addresses.ts'
import { startFolder } from './serve-composition.ts'
import type { Composition } from './serve-composition.ts'
import { shownSettings } from './serve-control.ts'
import { removeLeftovers } from './leftover-sockets.ts'
import { ServeLog } from './serve-log.ts'
import { ownSockets } from './serve-users.ts'

// Gunicorn's exit codes, which supervisors look at.
const WORKER_BOOT_ERROR = 3
const APP_LOAD_ERROR = 4
/** Of what Gunicorn's master would have done before there are workers. */
const START_ERROR = 1
const DAEMON_UMASK = 0o022
const NOT_STARTED = /^(?:(?:on_starting|when_ready|the configuration of logs) failed: |cannot load the logger class )/

/** What python/portico_bridge/loader.py says of a module that is there and has no such application. */
const NO_APPLICATION =
  /^cannot load "[^]*": (?:there is no "|no module is named|the arguments are wrong: |it calls what|".*" is not a name|".*": (?:arguments must|only a|neither|"\*\*")|.* is not callable: )/

/** The name that messages give as the place of what is in no file. */
export const PLACE = 'portico serve'

/** @param onBegin signals are taken from now on @returns the exit code */
export async function runComposition(
  first: Composition,
  again: () => Promise<Composition>,
  addresses: Addresses,
  onBegin: () => void,
): Promise<number> {
  const { settings } = first.line
  if (settings.daemon) process.umask(DAEMON_UMASK)
  const given = addresses.openSockets(first.around.folder)
  if (settings.daemon && given.size > 0) throw new UsageError('--daemon leaves sockets that were given behind')
  takeSockets(given)
  addresses.remember()
  process.title = `${asGunicorn() ? 'gunicorn' : 'portico'}: master [${settings.proc_name ?? settings.wsgi_app}]`
  const { run } = await import('./run.ts')
  const serving = new Serving(first, given, onBegin)
  let fresh: Composition | null = first
  return await run(
    invocationOf(first),
    new ServeLog('portico'),
    async () => {
      const composition = fresh ?? (await recompose(again))
      fresh = null
      await removeLeftovers(composition.around.addresses, composition.around.folder)
      serving.composition = composition
      return new TextSource(PLACE, serving.composition.text)
    },
    serving,
  )
}

export function invocationOf({ around }: Composition): Invocation {
  const prefix = Buffer.from(`${around.folder}/`, 'utf8').toString('latin1')
  return { prefix, file: PLACE, directives: '', errorLog: null }
}

/** What is wrong with options or file is told as what is wrong with any configuration. */
async function recompose(again: () => Promise<Composition>): Promise<Composition> {
  try {
    return await again()
  } catch (error) {
    throw new ConfigError((error as Error).message)
  }
}

class Serving implements Manners {
  readonly stopSignals = 'gunicorn'
  readonly folder = startFolder()
  readonly keepsOutput: boolean
  readonly status = 'Gunicorn arbiter booted'
  composition: Composition
  private readonly given: ReadonlyMap<string, number>
  private readonly onBegin: () => void
  private steering: Steering | null = null
  private statsd: Statsd | null = null
  /** The number of workers told last. */
  private serving = -1

  constructor(composition: Composition, given: ReadonlyMap<string, number>, onBegin: () => void) {
    this.composition = composition
    this.given = given
    // As Gunicorn: what goes to a file or a pipe stays, what goes to a terminal does not.
    this.keepsOutput = composition.line.settings.enable_stdio_inheritance && !isatty(1) && !isatty(2)
    this.onBegin = onBegin
  }

  begin(steering: Steering): void {
    this.steering = steering
    this.onBegin()
  }

  bound(): void {
    const { line, around } = this.composition
    ownSockets(line, around, this.given)
  }

  ready(): void {
    const { line } = this.composition
    if (!line.settings.daemon) {
      print(2, latin1(`${asGunicorn() ? gunicornGreeting(this.composition) : ownGreeting(this.composition)}\n`))
    }
  }

  serveSide(): ServeSide {
    const { python, line, around } = this.composition
    const { settings } = line
    this.tellStatsd(settings)
    const captured = settings.capture_output && settings.errorlog !== '-' ? settings.errorlog : null
    return {
      gunicorn: python,
      watch: settings.reload && kindOf(settings) === 'node' ? settings.reload_extra_files : null,
      output: captured === null ? null : latin1(within(around.folder, captured)),
      changed: file => this.changed(file),
      notLoaded: error => this.notLoaded(error),
      halted: (code, reason) => this.halted(code, reason),
      serving: count => {
        if (count !== this.serving) this.statsd?.gauge('gunicorn.workers', count)
        this.serving = count
      },
    }
  }

  settings(): Readonly<Record<string, unknown>> {
    return shownSettings(this.composition)
  }

  /** The settings may have changed. */
  private tellStatsd({ statsd_host, statsd_prefix: prefix, dogstatsd_tags: tags }: Settings): void {
    this.statsd?.close()
    this.statsd = statsd_host === null ? null : new Statsd({ ...statsd_host, prefix, tags })
    this.serving = -1
  }

  /** The configuration file is more than the application's: everything is read anew. */
  private changed(file: string): boolean {
    const location = this.composition.python?.config ?? ''
    if (location === '' || basename(file) !== basename(location)) return false
    this.steering?.reload()
    return true
  }

  private halted(code: number, reason: string): void {
    if (this.composition.line.settings.errorlog !== '-') print(2, latin1(`portico: ${reason}\n`))
    this.steering?.halt(code)
  }

  private notLoaded(error: string): void {
    const missing = NO_APPLICATION.test(error)
    const early = NOT_STARTED.test(error)
    const what = early ? 'cannot start' : missing ? 'the application failed to load' : 'a worker failed to boot'
    // Where errors are logged to the terminal, the cause has been told.
    const cause = this.composition.line.settings.errorlog === '-' ? '' : `: ${error}`
    print(2, latin1(`portico: ${what}${cause}\n`))
    this.steering?.halt(early ? START_ERROR : missing ? APP_LOAD_ERROR : WORKER_BOOT_ERROR)
  }
}

function asGunicorn(): boolean {
  return basename(process.env['PORTICO_INVOKED_AS'] ?? '') === 'gunicorn'
}

function ownGreeting({ line, around }: Composition): string {
  return greeting(line.settings, around.addresses, `${PRODUCT} ${VERSION}`, process.pid)
}

/** For programs that wait for these words. */
function gunicornGreeting({ line, around }: Composition): string {
  const begin = `[${gunicornTime()}] [${process.pid}] [INFO]`
  const kind = kindOf(line.settings)
  return [
    `${begin} Starting gunicorn (${PRODUCT} ${VERSION})`,
    `${begin} Listening at: ${around.addresses.map(addressUrl).join(',')} (${process.pid})`,
    `${begin} Using worker: ${kind === 'threads' ? 'gthread' : kind}`,
  ].join('\n')
}

/** `2026-11-21 07:00:00 +0000` */
function gunicornTime(): string {
  const now = new Date()
  const zone = -now.getTimezoneOffset()
  const local = new Date(now.getTime() + zone * 60_000).toISOString().slice(0, 19).replace('T', ' ')
  const two = (n: number): string => `${Math.trunc(n)}`.padStart(2, '0')
  return `${local} ${zone < 0 ? '-' : '+'}${two(Math.abs(zone) / 60)}${two(Math.abs(zone) % 60)}`
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** The configuration's text, under the name that messages give as its place. */
export class TextSource implements Source {
  private readonly name: string
  private readonly text: string
  private readonly files = new FileSource()

  constructor(name: string, text: string) {
    this.name = name
    this.text = text
  }

  read(): string {
    return this.text
  }

  glob(): string[] {
    return []
  }

  readData(path: string): DataFile {
    return this.files.readData(path)
  }

  bundle(): Bundle {
    return { ...this.files.bundle(), files: [[this.name, this.text]] }
  }
}
