// disable_symlinks: opens a path name by name, each within the folder opened before it, so that no link can be slipped in
// between a check and the opening (nginx does the same with openat()). Node has no openat(); `/proc/self/fd/N/name` is the
// same thing to Linux: N leads to the very folder that was opened, wherever it has been moved since, and O_NOFOLLOW is about
// the last name alone. Without /proc every file is missing: the check fails closed.

import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'

/** Links are files like others. */
export const FOLLOW = 0
/** Only those that belong to the owner of what they lead to. */
export const SAME_OWNER = 1
/** None. */
export const NO_LINKS = 2

/** Not among node:fs's constants: a descriptor that only marks a place, for which no right to read is needed. */
const O_PATH = 0o10000000
const PLACE = O_PATH | constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK

/** What a location says about links. */
export class LinkGuard {
  readonly rule: number
  /** The part of paths that is not looked at; null: there is none. */
  private readonly from: Value | null

  constructor(rule: number, from: Value | null) {
    this.rule = rule
    this.from = from
  }

  /** How many characters of the path are trusted: all of them, or up to a slash (ngx_http_set_disable_symlinks). */
  trusted(r: HttpRequest, path: string): number {
    if (this.from === null) return 0
    const from = this.from.get(r)
    if (from === '' || !path.startsWith(from)) return 0
    if (from.length === path.length || path[from.length] === '/') return from.length
    return from.endsWith('/') ? from.length - 1 : 0
  }
}

/** A descriptor, or what openSync() throws; ELOOP for a link that must not be followed. */
export function openGuarded(path: string, rule: number, trusted: number, flags: number): number {
  if (trusted === path.length) return openSync(bytes(path), flags)
  let folder = openSync(trusted > 0 ? bytes(path.slice(0, trusted)) : path.startsWith('/') ? '/' : '.', PLACE)
  try {
    const names = path.slice(trusted).split('/')
    const last = names.pop()!
    for (const name of names) {
      if (name === '') continue
      const inner = openAt(folder, name, rule, PLACE)
      closeSync(folder)
      folder = inner
    }
    // A slash at the end: the folder itself is meant.
    return last === '' ? openSync(within(folder, '.'), flags) : openAt(folder, last, rule, flags)
  } finally {
    closeSync(folder)
  }
}

function openAt(folder: number, name: string, rule: number, flags: number): number {
  const path = within(folder, name)
  if (rule === NO_LINKS) return openSync(path, flags | constants.O_NOFOLLOW)
  // What has been opened cannot change any more. If it was through a link, then the link is there now, or somebody has
  // replaced it since: whatever is there must have the same owner.
  const descriptor = openSync(path, flags)
  try {
    if (fstatSync(descriptor).uid === lstatSync(path).uid) return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  closeSync(descriptor)
  throw Object.assign(new Error('link of another owner'), { code: 'ELOOP', errno: -40 })
}

function within(folder: number, name: string): Buffer {
  return bytes(`/proc/self/fd/${folder}/${name}`)
}

/** Paths are latin1, names are bytes. */
function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}
