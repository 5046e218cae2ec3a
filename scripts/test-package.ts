// The program as the tests start it: bundled and laid out as in its package, in a folder of the run's own. It is what users
// get, and starts in half the time that a checkout takes. test/cli/checkout.test.ts starts the checkout itself.

import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { PYTHON } from '../test/helpers/needs.ts'

/**
 * Makes it below `directory`.
 * @returns the launcher's path, or null when it cannot be built
 */
export function makePackage(root: string, directory: string): string | null {
  const folder = join(directory, 'package')
  mkdirSync(folder)
  // A server that root starts serves as another user.
  for (const path of [directory, folder]) chmodSync(path, 0o755)
  const build = [join(root, 'scripts/build.ts'), join(folder, 'dist')]
  const { status } = spawnSync(process.execPath, build, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) return null
  const filter = (path: string): boolean => basename(path) !== '__pycache__'
  for (const name of ['bin', 'conf', 'python'])
    cpSync(join(root, name), join(folder, name), { recursive: true, filter })
  // Where the launcher finds the pinned Node.
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  // As pip and Debian do when they install: otherwise each server's Python would compile it anew.
  spawnSync(PYTHON, ['-m', 'compileall', '-q', join(folder, 'python')], { stdio: 'ignore' })
  return join(folder, 'bin', 'portico')
}
