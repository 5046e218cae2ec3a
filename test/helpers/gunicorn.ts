// The original to stand behind our front, or to compare answers with: Debian's Gunicorn, on loopback or a Unix socket.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { findCommand } from './needs.ts'
import { accepts, freePort } from './ports.ts'
import { isAlive, killAll, processTree, signalTo } from './processes.ts'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'
import { tempDir, writeFiles } from './temp-dir.ts'
import type { Files } from './temp-dir.ts'

const START_MS = 60_000
const STOP_MS = 60_000

export interface GunicornOptions {
  readonly files?: Files
  /** Where the application is; by default a new folder that takes the files. */
  readonly dir?: string
  readonly unix?: boolean
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Gunicorn {
  /** 0 on a Unix socket. */
  readonly port: number
  /** The Unix socket's path, or `127.0.0.1:PORT`. */
  readonly path: string
  readonly pid: number
  readonly dir: string
  output(): string
  stop(): Promise<void>
}

/** Ask `needs(t, 'gunicorn')` first. */
export async function gunicorn(t: Scope, module: string, options: GunicornOptions = {}): Promise<Gunicorn> {
  const dir = options.dir ?? tempDir(t)
  if (options.files !== undefined) writeFiles(dir, options.files)
  const port = options.unix === true ? 0 : await freePort()
  const path = options.unix === true ? join(tempDir(t), 'gunicorn.sock') : `127.0.0.1:${port}`
  const bind = options.unix === true ? ['--bind', `unix:${path}`, '--umask', '0'] : ['--bind', path]
  const args = [...bind, '--chdir', dir, ...(options.args ?? []), module]
  const child = spawn(findCommand('gunicorn') ?? 'gunicorn', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...options.env },
  })
  let output = ''
  child.stdout.on('data', bytes => (output += bytes))
  child.stderr.on('data', bytes => (output += bytes))
  child.on('error', error => (output += error.message))
  const stop = async (): Promise<void> => {
    const tree = processTree(child.pid ?? -1)
    if (child.exitCode === null && child.signalCode === null) signalTo(child.pid!, 'SIGTERM')
    await eventually(() => !tree.some(isAlive), STOP_MS).finally(() => killAll(tree))
  }
  try {
    await eventually(async () => child.exitCode !== null || (await accepts(port || path)), START_MS)
    if (child.exitCode !== null) throw new Error(`gunicorn ended (${child.exitCode})`)
  } catch (error) {
    killAll(processTree(child.pid ?? -1))
    throw new Error(`${String(error)}:\n${output}`, { cause: error })
  }
  atEnd(t, stop)
  return { port, path, pid: child.pid!, dir, output: () => output, stop }
}
