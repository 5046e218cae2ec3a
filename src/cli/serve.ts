// `portico serve`: Gunicorn's command line in front of the same program. The options become a configuration, and that is run
// as any other. What only a running system can tell (users, hosts' names, free ports) is found out here.

import { lookup } from 'node:dns/promises'
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { BindAddress } from '../app/settings/bind.ts'
import { readCommandLine } from '../app/settings/command-line.ts'
import type { CommandLine } from '../app/settings/command-line.ts'
import { configurationText, greeting, within } from '../app/settings/configuration.ts'
import type { Surroundings } from '../app/settings/configuration.ts'
import { UsageError } from '../app/settings/setting.ts'
import { FileSource } from '../config/source.ts'
import type { Bundle, DataFile, Source } from '../config/source.ts'
import { PRODUCT, VERSION } from '../lib/product.ts'
import { findGroup, findUser } from '../process/users.ts'
import type { Invocation } from './invocation.ts'
import { print } from './master-log.ts'
import { ServeLog } from './serve-log.ts'

/** What Gunicorn's settings are taken from. */
const GUNICORN_VERSION = '26.1.0'

const USAGE = 2

/** @returns the exit code */
export async function serve(args: readonly string[]): Promise<number> {
  const name = basename(process.env['PORTICO_INVOKED_AS'] ?? '') === 'gunicorn' ? 'gunicorn' : 'portico serve'
  const say = (message: string): void => print(2, bytes(`${name}: ${message}\n`))
  try {
    const line = readCommandLine(args, process.env)
    if (line.settings.version) return showVersion(name)
    if (line.settings.help) return await showHelp(name)
    return await act(line, args, say)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    say(error.message)
    return USAGE
  }
}

function showVersion(name: string): number {
  print(
    1,
    name === 'gunicorn'
      ? `gunicorn (version ${GUNICORN_VERSION}) (${PRODUCT}/${VERSION})\n`
      : `${PRODUCT} ${VERSION}\n`,
  )
  return 0
}

async function showHelp(name: string): Promise<number> {
  const { serveHelp } = await import('./serve-help.ts')
  print(1, bytes(serveHelp(name)))
  return 0
}

async function act(line: CommandLine, args: readonly string[], say: (message: string) => void): Promise<number> {
  const { settings } = line
  const folder = folderOf(settings.chdir)
  for (const warning of line.warnings) say(warning)
  if (existsSync('gunicorn.conf.py')) {
    say('./gunicorn.conf.py is not read: configuration files in Python are not supported yet')
  }
  const origin = `Made by: portico serve ${args.filter(arg => arg !== '--print-config').join(' ')}`
  const addresses = await Promise.all(settings.bind.map(settle))
  const around = { origin, folder, user: userOf(line), addresses }
  if (settings.print_config) {
    print(1, configurationText(line, { ...around, runFolder: '' }))
    return 0
  }
  const problem = alreadyRunning(settings.pidfile === null ? null : within(folder, settings.pidfile))
  if (problem !== null && !settings.check_config) {
    say(problem)
    return 1
  }
  const runFolder = mkdtempSync(join(tmpdir(), 'portico-'))
  try {
    // The front may run as somebody else: it enters, and its own folders in here are closed to others.
    chmodSync(runFolder, 0o711)
    return await runText(line, { ...around, runFolder }, say)
  } finally {
    rmSync(runFolder, { recursive: true, force: true })
  }
}

async function runText(line: CommandLine, around: Surroundings, say: (message: string) => void): Promise<number> {
  const text = configurationText(line, around)
  const { settings } = line
  const invocation: Invocation = {
    prefix: bytes(`${around.folder}/`),
    file: 'portico serve',
    directives: '',
    errorLog: null,
  }
  const log = new ServeLog('portico')
  const open = (): TextSource => new TextSource(invocation.file, text)
  if (settings.check_config) {
    const { checkApplication } = await import('./serve-check.ts')
    return await checkApplication(invocation, open(), log, say)
  }
  const { run } = await import('./run.ts')
  process.title = `portico: master [${settings.proc_name ?? settings.wsgi_app}]`
  return await run(invocation, log, open, {
    stopSignals: 'gunicorn',
    ready: () => {
      ownSockets(line, around)
      if (!settings.daemon)
        print(2, bytes(`${greeting(settings, around.addresses, `${PRODUCT} ${VERSION}`, process.pid)}\n`))
    },
  })
}

/** The configuration's text, under the name that messages give as its place. */
class TextSource implements Source {
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

/** Text as it is kept here: one character per byte. */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function folderOf(chdir: string | null): string {
  const folder = resolve(chdir ?? '.')
  const status = statSync(folder, { throwIfNoEntry: false })
  if (status === undefined) throw new UsageError(`invalid value "${chdir}" for --chdir: there is no such folder`)
  if (!status.isDirectory()) throw new UsageError(`invalid value "${chdir}" for --chdir: it is no folder`)
  return folder
}

/** A host's name becomes its address, and port 0 one that is free. */
async function settle(address: BindAddress): Promise<BindAddress> {
  if (address.type === 'unix') return address
  const host = address.host === '' || net.isIP(address.host) > 0 ? address.host : await addressOf(address.host)
  if (address.port > 0) return { ...address, host }
  const bound = new net.BoundSocket({ host: host === '' ? '0.0.0.0' : host, port: 0 })
  const { port } = bound.address()
  bound.close()
  return { type: 'tcp', host, port }
}

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host, { order: 'ipv4first' })).address
  } catch {
    throw new UsageError(`invalid value "${host}" for --bind: there is no such host`)
  }
}

/** Root's own applications run as root: Gunicorn does so, and they may have files that nobody else can read. */
function userOf({ settings }: CommandLine): Surroundings['user'] {
  const { user, group } = settings
  if (process.geteuid?.() !== 0) {
    if (isAnother('user', user, process.geteuid?.()) || isAnother('group', group, process.getegid?.())) {
      throw new UsageError(`${user === null ? '--group' : '--user'} needs the rights of root`)
    }
    return null
  }
  const name = nameOf('passwd', user ?? '0', '--user')
  const gid = user === null ? 0 : findUser(name)!.gid
  return { name, group: nameOf('group', group ?? `${gid}`, '--group') }
}

function isAnother(kind: 'user' | 'group', wanted: string | null, own: number | undefined): boolean {
  if (wanted === null) return false
  const database = kind === 'user' ? 'passwd' : 'group'
  return nameOf(database, wanted, `--${kind}`) !== nameOf(database, `${own}`, `--${kind}`)
}

/** A user or group given by its name or its number. */
function nameOf(database: 'passwd' | 'group', word: string, flag: string): string {
  const known = database === 'group' ? findGroup(word) : findUser(word)
  if (known !== null) return word
  for (const line of readFileSync(`/etc/${database}`, 'utf8').split('\n')) {
    const [name, , number] = line.split(':')
    if (number === word) return name!
  }
  throw new UsageError(`invalid value "${word}" for ${flag}: there is no such ${flag.slice(2)}`)
}

/** @returns null, or who has written that file */
function alreadyRunning(pidFile: string | null): string | null {
  if (pidFile === null || !existsSync(pidFile)) return null
  const pid = Number(readFileSync(pidFile, 'latin1').trim())
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return null
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return null
  }
  return `already running as process ${pid}, says "${pidFile}"`
}

/** Unix sockets belong to the user, and are open to whom `umask` leaves them open. */
function ownSockets({ settings: { umask, user, group } }: CommandLine, around: Surroundings): void {
  for (const address of around.addresses) {
    if (address.type !== 'unix') continue
    const path = within(around.folder, address.path)
    if (umask !== null) chmodSync(path, 0o777 & ~umask)
    if (around.user === null || (user === null && group === null)) continue
    chownSync(path, findUser(around.user.name)!.uid, findGroup(around.user.group)!)
  }
}
