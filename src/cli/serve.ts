// `portico serve`: Gunicorn's command line in front of the same program. The options become a configuration, and that is run
// as any other. What only a running system can tell (users, hosts' names, free ports) is found out here.

import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { foreignClasses, readCommandLine } from '../app/settings/command-line.ts'
import type { CommandLine } from '../app/settings/command-line.ts'
import { within } from '../app/settings/configuration.ts'
import { learnWorkerClass } from '../app/settings/serving.ts'
import { UsageError } from '../app/settings/setting.ts'
import { PRODUCT, VERSION } from '../lib/product.ts'
import { INHERITANCE } from '../process/given-sockets.ts'
import { print } from './master-log.ts'
import { RunFolder } from './run-folder.ts'
import { Addresses } from './serve-addresses.ts'
import { compose } from './serve-composition.ts'
import type { Composition } from './serve-composition.ts'
import { ConfigFileError } from './serve-config.ts'

/** What Gunicorn's settings are taken from. */
const GUNICORN_VERSION = '26.1.0'

const USAGE = 2

/** Not for what the command line says. */
class CannotStart extends Error {}

type Say = (message: string) => void

/** @returns the exit code */
export async function serve(args: readonly string[]): Promise<number> {
  const name = basename(process.env['PORTICO_INVOKED_AS'] ?? '') === 'gunicorn' ? 'gunicorn' : 'portico serve'
  const say = (message: string): void => print(2, bytes(`${name}: ${message}\n`))
  try {
    for (const foreign of foreignClasses(args, process.env)) {
      const { basesOf } = await import('./serve-config.ts')
      learnWorkerClass(foreign.trim(), await basesOf(foreign.trim(), pythonAsked(args)))
    }
    const line = readCommandLine(args, process.env)
    if (line.settings.version) return showVersion(name)
    if (line.settings.help) return await showHelp(name)
    return await act(line, args, say)
  } catch (error) {
    if (error instanceof UsageError) {
      // One line, whatever was given.
      say(error.message.replaceAll('\r', '\\r').replaceAll('\n', '\\n'))
      return USAGE
    }
    if (!(error instanceof ConfigFileError || error instanceof CannotStart)) throw error
    say(error.message)
    return error instanceof ConfigFileError ? error.exitCode : 1
  }
}

/** Before all options are known to be right. */
function pythonAsked(args: readonly string[]): string | null {
  const at = args.findIndex(arg => arg === '--python' || arg.startsWith('--python='))
  if (at < 0) return null
  return args[at] === '--python' ? (args[at + 1] ?? null) : args[at]!.slice('--python='.length)
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

async function act(options: CommandLine, args: readonly string[], say: Say): Promise<number> {
  const addresses = new Addresses()
  const runFolder = options.settings.print_config ? null : makeRunFolder()
  try {
    const again = (): Promise<Composition> => compose(args, options, addresses, runFolder?.path ?? '')
    const composition = await again()
    for (const warning of composition.line.warnings) say(warning)
    return await perform(composition, again, addresses, say, () => runFolder?.letGo())
  } finally {
    runFolder?.letGo()
    runFolder?.remove()
  }
}

function makeRunFolder(): RunFolder {
  try {
    return new RunFolder()
  } catch (error) {
    throw new CannotStart((error as Error).message, { cause: error })
  }
}

async function perform(
  composition: Composition,
  again: () => Promise<Composition>,
  addresses: Addresses,
  say: Say,
  onBegin: () => void,
): Promise<number> {
  const { settings } = composition.line
  const { folder } = composition.around
  if (settings.print_config) {
    const { printable } = await import('./serve-print.ts')
    print(1, printable(composition))
    return 0
  }
  if (settings.check_config) {
    const { checkComposition } = await import('./serve-check.ts')
    return await checkComposition(composition, say)
  }
  const problem = alreadyRunning(settings.pidfile === null ? null : within(folder, settings.pidfile))
  // The one this is to replace may run, and leaves us its sockets.
  if (problem !== null && process.env[INHERITANCE] === undefined) {
    say(problem)
    return 1
  }
  const { runComposition } = await import('./serve-run.ts')
  return await runComposition(composition, again, addresses, onBegin)
}

/** Text as it is kept here: one character per byte. */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
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
