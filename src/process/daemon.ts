// Becoming a daemon. Node cannot fork, so the starting process starts the program again in a session of its own and waits
// until it serves; its errors reach the caller's terminal, and its exit code the caller.

import { spawn } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { redirect } from './libc.ts'
import { reason } from './system-error.ts'

const MARK = 'PORTICO_DAEMON'

/** Is this the daemon that the starting process has started? */
export const isDaemon = process.env[MARK] !== undefined && process.send !== undefined
// Nothing it starts shall take itself for one.
delete process.env[MARK]

/** @param keepsOutput it writes on to where this process writes @returns the starting process's exit code, when the daemon
 *  serves or has failed */
export function startDaemon(keepsOutput: boolean): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ['ignore', keepsOutput ? 'inherit' : 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, [MARK]: '1' },
  })
  return new Promise(resolve => {
    child.once('message', () => {
      child.disconnect()
      child.unref()
      resolve(0)
    })
    child.once('exit', code => resolve(code ?? 1))
    child.once('error', error => {
      writeSync(2, `the daemon could not be started ("${process.execPath}": ${reason(error)})\n`)
      resolve(1)
    })
  })
}

/** From here on standard error is the error log (null: nothing). */
export function leaveStderr(errorLog: string | null): void {
  const fd = openSync(errorLog === null ? '/dev/null' : Buffer.from(errorLog, 'latin1'), 'a')
  redirect(fd, 2)
  closeSync(fd)
}

/** Lets the caller go. */
export function daemonReady(): void {
  process.send?.('ready', undefined, {}, () => process.disconnect?.())
}
