// What a folder holds, for those who list it or choose from it (autoindex, random_index). Read synchronously, as files are
// (open-file.ts).

import { closeSync, constants, lstatSync, readdirSync, statSync, type Stats } from 'node:fs'
import { errorText } from '../../lib/errno.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import type { HttpRequest } from '../request.ts'
import { FOLLOW, openGuarded, type LinkGuard } from './symlinks.ts'

export interface FolderEntry {
  /** latin1, as all paths. */
  readonly name: string
  readonly kind: 'directory' | 'file' | 'other'
  /** Seconds since 1970. */
  readonly mtime: number
  readonly size: number
}

/** Everything but dot files; a status when it cannot be read, which has been logged. */
export function readFolder(r: HttpRequest, path: string, guard: LinkGuard): FolderEntry[] | number {
  const { rule } = guard
  if (rule === FOLLOW) return readEntries(r, path, path, true)
  let descriptor: number
  try {
    descriptor = openGuarded(path, rule, guard.trusted(r, path), constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    return refuse(r, path, error as NodeJS.ErrnoException)
  }
  // The folder that was opened, whatever its path leads to meanwhile. Links within it are shown as what they are.
  const entries = readEntries(r, path, `/proc/self/fd/${descriptor}`, false)
  closeSync(descriptor)
  return entries
}

/** @param place where it is found; `path` is what it is called in the log */
function readEntries(r: HttpRequest, path: string, place: string, follow: boolean): FolderEntry[] | number {
  let names: Buffer[]
  try {
    names = readdirSync(Buffer.from(place, 'latin1'), { encoding: 'buffer' })
  } catch (error) {
    return refuse(r, path, error as NodeJS.ErrnoException)
  }
  const entries: FolderEntry[] = []
  for (const bytes of names) {
    const name = bytes.toString('latin1')
    if (name.startsWith('.')) continue
    const entry = follow ? look(r, place, name) : lookAtLink(place, name)
    if (entry !== null) entries.push(entry)
  }
  return entries
}

function refuse(r: HttpRequest, path: string, error: NodeJS.ErrnoException): number {
  const code = error.code ?? ''
  const isMissing = code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG'
  const status = isMissing ? 404 : code === 'EACCES' || code === 'ELOOP' ? 403 : 500
  r.log(status === 500 ? CRIT : ERR, `opendir() "${path}" failed (${errorText(error)})`)
  return status
}

/** A link that leads nowhere is shown as what it is. Null: we may not look, or it is gone. */
function look(r: HttpRequest, folder: string, name: string): FolderEntry | null {
  const path = Buffer.from(`${folder}/${name}`, 'latin1')
  try {
    return entryOf(name, statSync(path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ELOOP') {
      r.log(CRIT, `stat() "${folder}/${name}" failed (${errorText(error as NodeJS.ErrnoException)})`)
      return null
    }
  }
  return lookAtLink(folder, name)
}

function lookAtLink(folder: string, name: string): FolderEntry | null {
  try {
    return entryOf(name, lstatSync(Buffer.from(`${folder}/${name}`, 'latin1')))
  } catch {
    // Removed since the folder was read.
    return null
  }
}

function entryOf(name: string, stats: Stats): FolderEntry {
  return {
    name,
    kind: stats.isDirectory() ? 'directory' : stats.isFile() ? 'file' : 'other',
    mtime: Math.floor(stats.mtimeMs / 1000),
    size: stats.size,
  }
}

/** Without the slash at its end, but for the root. */
export function folderPath(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}
