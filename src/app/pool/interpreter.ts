// Which Python an application runs on, and where our own side of the bridge lies.

import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { givenEnvironment } from '../../lib/own-environment.ts'
import type { AppSettings } from '../app.ts'

export function interpreterOf(settings: AppSettings): string {
  return interpreterNamed(settings.python)
}

/** @param python '' for the environment's */
export function interpreterNamed(python: string): string {
  if (python !== '') return python
  const { PORTICO_PYTHON, VIRTUAL_ENV } = process.env
  if (PORTICO_PYTHON !== undefined && PORTICO_PYTHON !== '') return PORTICO_PYTHON
  return VIRTUAL_ENV !== undefined && VIRTUAL_ENV !== '' ? join(VIRTUAL_ENV, 'bin', 'python') : 'python3'
}

/** Why it could not be started, and where it is named. */
export function cannotStart(python: string, error: NodeJS.ErrnoException): string {
  const why = error.code === 'ENOENT' ? 'there is no such program' : error.message
  const isWrong = error.code === 'ENOENT' || error.code === 'EACCES'
  const hint = isWrong ? '; "python" (--python), PORTICO_PYTHON or VIRTUAL_ENV name it' : ''
  return `cannot start the interpreter "${python}": ${why}${hint}`
}

/** The folder with `portico_bridge`: `python/` of the checkout or package, some way above the running file. */
export function bridgeFolder(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'python')
    if (existsSync(join(candidate, 'portico_bridge', '__main__.py'))) return candidate
    if (folder === dirname(folder)) throw new Error('the python folder of this installation is missing')
  }
}

/** The environment the interpreter starts with: what we were given, what the settings add, and the way to the bridge. */
export function pythonEnvironment(settings: AppSettings): NodeJS.ProcessEnv {
  const environment = { ...givenEnvironment(process.env), ...settings.environment }
  const path = environment['PYTHONPATH'] ?? ''
  return { ...environment, PYTHONPATH: path === '' ? bridgeFolder() : `${bridgeFolder()}${delimiter}${path}` }
}
