// A small server in Python behind our front, for protocols no test library has: it says its port on its first line.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PYTHON } from './needs.ts'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'

/** Starts test/helpers/responders/NAME.py; resolves with its address. Ask `needs(t, 'python3')` first. */
export async function responder(t: Scope, name: string): Promise<string> {
  const child = spawn(PYTHON, ['-u', join(import.meta.dirname, 'responders', `${name}.py`)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  })
  const gone = once(child, 'exit')
  atEnd(t, async () => {
    child.kill('SIGKILL')
    await gone
  })
  const lines = createInterface({ input: child.stdout })
  const [port] = (await Promise.race([once(lines, 'line'), gone])) as [string | number]
  if (typeof port !== 'string') throw new Error(`${name}.py ended (${port})`)
  return `127.0.0.1:${port}`
}
