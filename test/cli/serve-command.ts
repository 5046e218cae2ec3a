// `portico serve` as a command that ends by itself: what it says, and its exit code.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { PORTICO, PYTHON, tempDir, writeFiles } from '../helpers/index.ts'
import type { Scope } from '../helpers/index.ts'

/** The Python that applications under test run on. */
export const env = { PORTICO_PYTHON: PYTHON }

export const HELLO = `import time
def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        time.sleep(20)
    start_response('200 OK', [('Content-Type', 'text/plain'), ('X-Made-By', 'hello')])
    return [b'hello']
`

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs it in `dir` with these files beside `hello.py`. */
export function runServe(
  t: Scope,
  args: readonly string[],
  files: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, string>> = {},
  dir = tempDir(t),
): Ended {
  writeFiles(dir, { 'hello.py': HELLO, ...files, 'tmp/x': '' })
  return spawnSync(PORTICO, ['serve', ...args], {
    cwd: dir,
    encoding: 'utf8',
    env: {
      ...process.env,
      ...env,
      TMPDIR: join(dir, 'tmp'),
      XDG_RUNTIME_DIR: join(dir, 'tmp'),
      PYTHONDONTWRITEBYTECODE: '1',
      ...more,
    },
    timeout: 60_000,
  })
}
