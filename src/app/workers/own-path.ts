// A program that is to listen on a Unix socket gives it a mode when it does, for the server in front of it, and may connect to it:
// where it believes its socket to be, there is a link to the pool's.

import { readlinkSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'

/** The path that the first argument of listen() asks for; '' for none. */
export function pathAsked(first: unknown): string {
  const given = typeof first === 'object' && first !== null ? (first as { readonly path?: unknown }).path : first
  const isPath = typeof given === 'string' && given !== '' && !/^\d+$/.test(given) && !given.startsWith('\0')
  return isPath ? given : ''
}

/** Links of workers before are replaced; all else that is there is the program's own affair. */
export function linkTo(socket: string, asked: string): void {
  const path = resolve(asked)
  try {
    if (basename(dirname(targetOf(path))).startsWith('portico-')) unlinkSync(path)
    symlinkSync(socket, path)
  } catch {
    return
  }
  process.once('exit', () => {
    if (targetOf(path) === socket) rmSync(path, { force: true })
  })
}

/** '' for what is no link. */
function targetOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
