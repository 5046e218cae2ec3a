// What `portico serve` runs: options, environment and configuration file become a configuration in nginx's language, and what
// Python is told beside it. Composed anew at every reload.

import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { readCommandLine } from '../app/settings/command-line.ts'
import type { CommandLine } from '../app/settings/command-line.ts'
import { configLocation } from '../app/settings/command-line.ts'
import { configurationText, kindOf } from '../app/settings/configuration.ts'
import type { Surroundings } from '../app/settings/configuration.ts'
import { withPaste } from '../app/settings/paste.ts'
import { pythonSide } from '../app/settings/python-side.ts'
import type { PythonSide } from '../app/settings/python-side.ts'
import { UsageError } from '../app/settings/setting.ts'
import { errorText } from '../lib/errno.ts'
import type { Addresses } from './serve-addresses.ts'
import { ConfigFileError, readConfigFile } from './serve-config.ts'
import { defaultControlSocket } from './serve-control.ts'
import { userOf } from './serve-users.ts'

export interface Composition {
  readonly line: CommandLine
  readonly around: Surroundings
  readonly text: string
  /** Null: the application is none of Python's. */
  readonly python: PythonSide | null
}

/**
 * @param options as they were read already, without the file
 * @param runFolder for what only this run needs; '' where there is none
 * Throws UsageError, and ConfigFileError for what is wrong in the file.
 */
export async function compose(
  args: readonly string[],
  options: CommandLine,
  addresses: Addresses,
  runFolder: string,
): Promise<Composition> {
  const location = configLocation(args, process.env)
  const file = await readConfigFile(location, options.settings.python, args)
  const written = file === null ? options : withFile(() => readCommandLine(args, process.env, file), file.location)
  const start = startFolder()
  const line = withPaste(written, start, readIni)
  const { settings } = line
  const folder = folderOf(start, settings.chdir ?? '.')
  const warnings = checkExtraFiles(settings.reload_extra_files, [start, folder])
  const origin = `Made by: portico serve ${args.filter(arg => arg !== '--print-config').join(' ')}`
  const around = {
    origin,
    folder,
    user: userOf(line),
    scriptName: new Map(settings.raw_env).get('SCRIPT_NAME') ?? process.env['SCRIPT_NAME'] ?? '',
    addresses: await addresses.settle(settings.bind),
    controlSocket: defaultControlSocket(),
    runFolder,
  }
  return {
    line: { ...line, warnings: [...line.warnings, ...warnings] },
    around,
    text: configurationText(line, around),
    python: kindOf(settings) === 'node' ? null : pythonSide(line, file, start, args),
  }
}

/** The options are right, so what is wrong is the file. */
function withFile(read: () => CommandLine, location: string): CommandLine {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const message = error.message.includes(location) ? error.message : `${error.message} (${location})`
    throw new ConfigFileError(message, 1, { cause: error })
  }
}

/** What is no pattern is there already, as in Gunicorn. @returns warnings */
function checkExtraFiles(files: readonly string[], folders: readonly string[]): string[] {
  const warnings: string[] = []
  for (const file of files) {
    if (!/[*?[]/.test(file)) {
      if (folders.some(folder => existsSync(resolve(folder, file)))) continue
      throw new UsageError(`invalid value "${file}" for --reload-extra-file: there is no such file`)
    }
    if (folders.every(cwd => globSync(file, { cwd }).length === 0)) warnings.push(`there is no file yet like "${file}"`)
  }
  return warnings
}

function readIni(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const problem = missing ? 'there is no such file' : errorText(error as NodeJS.ErrnoException)
    throw new UsageError(`invalid value "${path}" for --paste: ${problem}`, { cause: error })
  }
}

function folderOf(start: string, chdir: string): string {
  const folder = resolve(start, chdir)
  const status = statSync(folder, { throwIfNoEntry: false })
  if (status === undefined) throw new UsageError(`invalid value "${chdir}" for --chdir: there is no such folder`)
  if (!status.isDirectory()) throw new UsageError(`invalid value "${chdir}" for --chdir: it is no folder`)
  return folder
}

let started = ''

/** By the name it was entered with: a link to a release leads a reload and the next master (USR2) to the next release. */
export function startFolder(): string {
  // Once: the link may lead elsewhere by the time of a reload.
  return (started ||= namedFolder())
}

function namedFolder(): string {
  const named = process.env['PWD'] ?? ''
  const [there, here] = [named, '.'].map(path => statSync(path, { throwIfNoEntry: false }))
  return named.startsWith('/') && there?.ino === here?.ino && there?.dev === here?.dev ? named : process.cwd()
}
