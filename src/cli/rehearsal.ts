// What a start would stumble over though the configuration is right: a pid file, folders, logs and addresses that cannot be
// had. `-t` tries them as nginx does, without writing to any or keeping one (ngx_init_cycle).

import { chmodSync, closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { provideFolder, provideLogFile } from '../process/privileges.ts'
import { tryAddress } from '../process/sockets.ts'
import { failed } from '../process/system-error.ts'
import type { Configuration } from './configuration.ts'

/** In nginx's words; null: all is well. */
export function rehearse({ main, http, stream, mail }: Configuration, prefix: string): string | null {
  const blocks = [http, stream, mail]
  const errorLogs = main.errorLog.flatMap(({ path }) => (path === null ? [] : [path]))
  const logs = new Set([...errorLogs, ...blocks.flatMap(({ logFiles }) => logFiles)])
  try {
    provideLogs(prefix, [...logs, main.pidFile])
    tryPidFile(main.pidFile)
    for (const folder of blocks.flatMap(({ folders }) => folders)) provideFolder(folder, main.user)
    for (const path of logs) if (!STANDARD.has(path)) provideLogFile(path, main.user)
    for (const { listens } of blocks) for (const address of listens) tryAddress(address)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** These are inherited, and need no permission. */
const STANDARD = new Set(['/dev/stdout', '/dev/stderr'])

/** The folder of the default paths: nginx's installation makes it, nobody has made ours. */
export function provideLogs(prefix: string, paths: readonly string[]): void {
  const folder = `${prefix}logs`
  if (!paths.some(path => dirname(path) === folder)) return
  const name = Buffer.from(folder, 'latin1')
  // Threads that run as somebody else open their logs in there, whatever the mask of who starts the program.
  if (mkdirSync(name, { recursive: true }) !== undefined) chmodSync(name, 0o755)
}

/** One that is there may be a running server's. */
function tryPidFile(path: string): void {
  const name = Buffer.from(path, 'latin1')
  const isNew = !existsSync(name)
  try {
    closeSync(openSync(name, 'a+', 0o644))
  } catch (error) {
    throw new Error(failed('open()', path, error), { cause: error })
  }
  if (isNew) rmSync(name, { force: true })
}
