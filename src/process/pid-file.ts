// The pid file: there when the program serves, gone when it has left, and the way `-s` finds whom to signal.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { failed, reason } from './system-error.ts'

/** Throws an Error in nginx's words. */
export function writePidFile(path: string, pid: number): void {
  try {
    writeFileSync(name(path), `${pid}\n`)
  } catch (error) {
    throw new Error(failed('open()', path, error), { cause: error })
  }
}

/** Can it be written? Neither makes one nor changes what is there. Throws an Error in nginx's words. */
export function tryPidFile(path: string): void {
  try {
    if (existsSync(name(path))) closeSync(openSync(name(path), constants.O_WRONLY | constants.O_NONBLOCK))
    else accessSync(name(`${dirname(path)}/.`), constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new Error(failed('open()', path, error), { cause: error })
  }
}

/** Throws an Error in nginx's words if there is no usable one. */
export function readPidFile(path: string): number {
  let text: string
  try {
    text = readFileSync(name(path), 'latin1')
  } catch (error) {
    throw new Error(failed('open()', path, error), { cause: error })
  }
  const digits = text.replace(/[\r\n]+$/, '')
  if (/^[1-9][0-9]{0,9}$/.test(digits)) return Number(digits)
  throw new Error(`invalid PID number "${digits}" in "${path}"`)
}

/** Removes it, if it is still ours. */
export function removePidFile(path: string, pid: number): void {
  try {
    if (readPidFile(path) === pid) rmSync(name(path), { force: true })
  } catch {
    // Somebody removed or replaced it: it is theirs now.
  }
}

/** Throws an Error in nginx's words. */
export function renamePidFile(from: string, to: string): void {
  try {
    renameSync(name(from), name(to))
  } catch (error) {
    throw new Error(`rename() ${from} to ${to} failed (${reason(error)})`, { cause: error })
  }
}

function name(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}
