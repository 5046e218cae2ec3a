// `portico serve`, running: what was composed, in the ordinary program, with Gunicorn's manners where they differ from nginx's:
// its signals, its exit codes, its word to systemd, and a reload that reads options and configuration file anew.

import { basename } from 'node:path'
import { greeting, within } from '../app/settings/configuration.ts'
import { UsageError } from '../app/settings/setting.ts'
import { ConfigError } from '../config/errors.ts'
import { FileSource } from '../config/source.ts'
import type { Bundle, DataFile, Source } from '../config/source.ts'
import { PRODUCT, VERSION } from '../lib/product.ts'
import { DatagramSocket } from '../log/datagram.ts'
import { Statsd } from '../log/statsd.ts'
import { takeSockets } from '../process/given-sockets.ts'
import type { ServeSide } from './applications.ts'
import type { Invocation } from './invocation.ts'
import { print } from './master-log.ts'
import type { Control, Manners } from './run.ts'
import type { Addresses } from './serve-addresses.ts'
import type { Composition } from './serve-composition.ts'
import { ServeLog } from './serve-log.ts'
import { ownSockets } from './serve-users.ts'

// Gunicorn's exit codes, which supervisors look at.
const WORKER_BOOT_ERROR = 3
const APP_LOAD_ERROR = 4

/** The name that messages give as the place of what is in no file. */
export const PLACE = 'portico serve'

/** @returns the exit code */
export async function runComposition(
  first: Composition,
  again: () => Promise<Composition>,
  addresses: Addresses,
): Promise<number> {
  const { settings } = first.line
  const given = addresses.openSockets(first.around.folder)
  if (settings.daemon && given.size > 0) throw new UsageError('--daemon leaves sockets that were given behind')
  takeSockets(given)
  addresses.remember()
  process.title = `portico: master [${settings.proc_name ?? settings.wsgi_app}]`
  const { run } = await import('./run.ts')
  const serving = new Serving(first, given)
  let fresh: Composition | null = first
  return await run(
    invocationOf(first),
    new ServeLog('portico'),
    async () => {
      serving.composition = fresh ?? (await recompose(again))
      fresh = null
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
  composition: Composition
  private readonly given: ReadonlyMap<string, number>
  private control: Control | null = null

  constructor(composition: Composition, given: ReadonlyMap<string, number>) {
    this.composition = composition
    this.given = given
  }

  begin(control: Control): void {
    this.control = control
  }

  ready(): void {
    const { line, around } = this.composition
    ownSockets(line, around, this.given)
    notifySystemd('READY=1\nSTATUS=Gunicorn arbiter booted')
    if (!line.settings.daemon) {
      print(2, latin1(`${greeting(line.settings, around.addresses, `${PRODUCT} ${VERSION}`, process.pid)}\n`))
    }
  }

  serveSide(): ServeSide {
    const { python, line, around } = this.composition
    const { settings } = line
    const { statsd_host, statsd_prefix: prefix, dogstatsd_tags: tags } = settings
    const gauge = statsd_host === null ? null : new Statsd({ ...statsd_host, prefix, tags })
    let told = -1
    const captured = settings.capture_output && settings.errorlog !== '-' ? settings.errorlog : null
    return {
      gunicorn: python,
      output: captured === null ? null : latin1(within(around.folder, captured)),
      changed: file => this.changed(file),
      notLoaded: error => this.notLoaded(error),
      serving: count => {
        if (count !== told) gauge?.gauge('gunicorn.workers', count)
        told = count
      },
    }
  }

  /** The configuration file is more than the application's: everything is read anew. */
  private changed(file: string): boolean {
    const location = this.composition.python?.config ?? ''
    if (location === '' || basename(file) !== basename(location)) return false
    this.control?.reload()
    return true
  }

  private notLoaded(error: string): void {
    const ofImport = /: importing it failed: |: there is no module | failed: (?!.*arguments must be)/.test(error)
    print(2, latin1(`portico: ${ofImport ? 'worker failed to boot' : 'application failed to load'}: ${error}\n`))
    this.control?.halt(ofImport ? WORKER_BOOT_ERROR : APP_LOAD_ERROR)
  }
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** sd_notify(3). A service manager that does not listen is no concern of ours. */
function notifySystemd(state: string): void {
  const path = process.env['NOTIFY_SOCKET'] ?? ''
  if (path === '') return
  const socket = new DatagramSocket({ path: latin1(path.replace(/^@/, '\0')) })
  socket.send(Buffer.from(state))
  socket.close()
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
