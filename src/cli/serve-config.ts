// The configuration file of `portico serve` is a program in Python: Python runs it, and tells its settings as JSON.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter } from 'node:path'
import type { Readable } from 'node:stream'
import { bridgeFolder, cannotStart, interpreterNamed } from '../app/pool/interpreter.ts'
import type { ConfigFile } from '../app/settings/command-line.ts'
import type { FileValue } from '../app/settings/setting.ts'

const DEFAULT = './gunicorn.conf.py'

/** The file could not be read; Python has said why. */
export class ConfigFileError extends Error {
  /** The file may have called sys.exit(). */
  readonly exitCode: number

  constructor(message: string, exitCode = 1, options: ErrorOptions = {}) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** @param asked what the options say, null for nothing: then the file is read that is there by its usual name */
export async function readConfigFile(
  asked: string | null,
  python: string | null,
  args: readonly string[],
): Promise<ConfigFile | null> {
  const location = asked ?? (existsSync(DEFAULT) ? DEFAULT : null)
  if (location === null || location === '') return null
  return { location, values: await valuesOf(location, interpreterNamed(python ?? ''), args) }
}

/** What Python says the class is derived from; null: there is no such class. */
export async function basesOf(name: string, python: string | null): Promise<FileValue> {
  const found = await valuesOf(`class:${name}`, interpreterNamed(python ?? ''), [])
  return found['worker_class'] ?? null
}

async function valuesOf(
  location: string,
  python: string,
  args: readonly string[],
): Promise<Readonly<Record<string, FileValue>>> {
  const path = process.env['PYTHONPATH'] ?? ''
  const child = spawn(python, ['-m', 'portico_bridge.config', location, ...args], {
    env: { ...process.env, PYTHONPATH: path === '' ? bridgeFolder() : `${bridgeFolder()}${delimiter}${path}` },
    // What the file prints goes where it went with Gunicorn. The last one ends with this process, and Python with it.
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'],
  })
  let text = ''
  const result = child.stdio[3] as Readable
  result.setEncoding('utf8')
  result.on('data', (piece: string) => (text += piece))
  const problem = await new Promise<ConfigFileError | null>(resolve => {
    child.once('error', error => resolve(new ConfigFileError(cannotStart(python, error))))
    child.once('close', (code, signal) => {
      const how = `"${location}" could not be read (${signal ?? `exit code ${code}`})`
      resolve(code === 0 && text !== '' ? null : new ConfigFileError(how, code ?? 1))
    })
  })
  if (problem !== null) throw problem
  return JSON.parse(text) as Record<string, FileValue>
}
