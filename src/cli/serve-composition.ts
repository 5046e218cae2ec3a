// What `portico serve` runs: options, environment and configuration file become a configuration in nginx's language, and what
// Python is told beside it. Composed anew at every reload.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { readCommandLine } from '../app/settings/command-line.ts'
import type { CommandLine } from '../app/settings/command-line.ts'
import { configLocation } from '../app/settings/command-line.ts'
import { configurationText, kindOf } from '../app/settings/configuration.ts'
import type { Surroundings } from '../app/settings/configuration.ts'
import { pythonSide } from '../app/settings/python-side.ts'
import type { PythonSide } from '../app/settings/python-side.ts'
import { UsageError } from '../app/settings/setting.ts'
import type { Addresses } from './serve-addresses.ts'
import { ConfigFileError, readConfigFile } from './serve-config.ts'
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
  const line = file === null ? options : withFile(() => readCommandLine(args, process.env, file), file.location)
  const { settings } = line
  const folder = folderOf(settings.chdir)
  const origin = `Made by: portico serve ${args.filter(arg => arg !== '--print-config').join(' ')}`
  const around = {
    origin,
    folder,
    user: userOf(line),
    scriptName: new Map(settings.raw_env).get('SCRIPT_NAME') ?? process.env['SCRIPT_NAME'] ?? '',
    addresses: await addresses.settle(settings.bind),
    runFolder,
  }
  return {
    line,
    around,
    text: configurationText(line, around),
    python: kindOf(settings) === 'node' ? null : pythonSide(line, file, process.cwd(), args),
  }
}

/** The options are right, so what is wrong is the file. */
function withFile(read: () => CommandLine, location: string): CommandLine {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new ConfigFileError(error.message.includes(location) ? error.message : `${error.message} (${location})`, {
      cause: error,
    })
  }
}

function folderOf(chdir: string | null): string {
  const folder = resolve(chdir ?? '.')
  const status = statSync(folder, { throwIfNoEntry: false })
  if (status === undefined) throw new UsageError(`invalid value "${chdir}" for --chdir: there is no such folder`)
  if (!status.isDirectory()) throw new UsageError(`invalid value "${chdir}" for --chdir: it is no folder`)
  return folder
}
