// Files and folders that are moved, copied and deleted for a request (dav). Off the event loop, since a tree may be large and
// a disk slow; and so that whoever reads a file at the same time sees it whole: what is written takes its name by a rename
// when it is complete, also when it had to be copied from another file system.

import { constants, type Stats } from 'node:fs'
import { chmod, copyFile, lstat, mkdir, readdir, rename, rmdir, stat, unlink, utimes } from 'node:fs/promises'
import { errorText } from '../../lib/errno.ts'
import { ALERT, CRIT } from '../../log/error-log.ts'
import { tempName } from '../request-body.ts'
import type { HttpRequest } from '../request.ts'

export type SystemError = NodeJS.ErrnoException

/** Who may enter a folder: those who may read it (ngx_dir_access). */
export function folderMode(mode: number): number {
  return mode | ((mode & 0o444) >> 2)
}

export function permissions({ mode }: Stats): number {
  return mode & 0o777
}

/** For node:fs: paths are latin1, names are bytes. */
export function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

/** null when there is nothing; another failure is thrown. A link is looked at, not followed. */
export async function find(path: string): Promise<Stats | null> {
  try {
    return await lstat(bytesOf(path))
  } catch (error) {
    if ((error as SystemError).code === 'ENOENT') return null
    throw error
  }
}

export interface Placement {
  /** Of the file; 0: as it is. */
  readonly mode: number
  /** Seconds since 1970, null: as it is. */
  readonly mtime: number | null
  /** May missing folders be made, and for whom? 0: no. */
  readonly folderMode: number
}

/** Gives the file its place, whatever was there before (ngx_ext_rename_file). False: it could not, and the log says why. */
export async function placeFile(r: HttpRequest, from: string, to: string, how: Placement): Promise<boolean> {
  let call = 'chmod()'
  try {
    if (how.mode !== 0) await chmod(bytesOf(from), how.mode)
    call = 'utimes()'
    if (how.mtime !== null) await utimes(bytesOf(from), how.mtime, how.mtime)
  } catch (error) {
    r.log(CRIT, `${call} "${from}" failed (${errorText(error as SystemError)})`)
    return false
  }
  let error = await renamed(from, to)
  if (error?.code === 'ENOENT' && how.folderMode !== 0) {
    try {
      await mkdir(bytesOf(to.slice(0, to.lastIndexOf('/'))), { recursive: true, mode: how.folderMode })
    } catch (failure) {
      r.log(CRIT, `mkdir() "${to}" failed (${errorText(failure as SystemError)})`)
      return false
    }
    error = await renamed(from, to)
  }
  if (error === null) return true
  if (error.code === 'EXDEV') return moveByCopying(r, from, to)
  r.log(CRIT, `rename() "${from}" to "${to}" failed (${errorText(error)})`)
  return false
}

/** null: it has that name now. */
export async function renamed(from: string, to: string): Promise<SystemError | null> {
  try {
    await rename(bytesOf(from), bytesOf(to))
    return null
  } catch (error) {
    return error as SystemError
  }
}

async function moveByCopying(r: HttpRequest, from: string, to: string): Promise<boolean> {
  try {
    const stats = await lstat(bytesOf(from))
    if (!(await copyWhole(r, from, to, stats))) return false
    await unlink(bytesOf(from))
    return true
  } catch (error) {
    r.log(CRIT, `unlink() "${from}" failed (${errorText(error as SystemError)})`)
    return false
  }
}

/** Copies with permissions and time, of a link those of what it leads to. The copy appears under its name when it is complete. */
export async function copyWhole(r: HttpRequest, from: string, to: string, source: Stats): Promise<boolean> {
  const unfinished = `${to}.${tempName()}`
  let call = `open() "${to}"`
  try {
    const stats = source.isSymbolicLink() ? await stat(bytesOf(from)) : source
    await copyFile(bytesOf(from), bytesOf(unfinished), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
    call = `copying "${from}" to "${to}"`
    await chmod(bytesOf(unfinished), permissions(stats))
    await utimes(bytesOf(unfinished), stats.atimeMs / 1000, stats.mtimeMs / 1000)
    await rename(bytesOf(unfinished), bytesOf(to))
    return true
  } catch (error) {
    r.log(CRIT, `${call} failed (${errorText(error as SystemError)})`)
    await unlink(bytesOf(unfinished)).catch(() => undefined)
    return false
  }
}

/** What a folder holds, by name; null when it cannot be read, which is logged. */
async function entries(r: HttpRequest, folder: string): Promise<string[] | null> {
  try {
    return (await readdir(bytesOf(folder), { encoding: 'buffer' })).map(name => name.toString('latin1'))
  } catch (error) {
    r.log(CRIT, `opendir() "${folder}" failed (${errorText(error as SystemError)})`)
    return null
  }
}

/** Empties a folder; what cannot be deleted is logged and stays. False: it could not even be read. */
export async function emptyFolder(r: HttpRequest, folder: string): Promise<boolean> {
  const names = await entries(r, folder)
  if (names === null) return false
  for (const name of names) {
    const path = `${folder}/${name}`
    let call = 'lstat()'
    try {
      if ((await lstat(bytesOf(path))).isDirectory()) {
        if (!(await emptyFolder(r, path))) return false
        call = 'rmdir()'
        await rmdir(bytesOf(path))
      } else {
        call = 'unlink()'
        await unlink(bytesOf(path))
      }
    } catch (error) {
      r.log(CRIT, `${call} "${path}" failed (${errorText(error as SystemError)})`)
    }
  }
  return true
}

/** Copies what a folder holds into another that is there: what links lead to, too, but no special files. */
export async function copyFolder(r: HttpRequest, from: string, to: string): Promise<boolean> {
  const names = await entries(r, from)
  if (names === null) return false
  for (const name of names) if (!(await copyEntry(r, `${from}/${name}`, `${to}/${name}`))) return false
  return true
}

async function copyEntry(r: HttpRequest, from: string, to: string): Promise<boolean> {
  let call = 'stat()'
  try {
    const stats = await stat(bytesOf(from))
    if (stats.isDirectory()) {
      call = 'mkdir()'
      await mkdir(bytesOf(to), folderMode(permissions(stats)))
      if (!(await copyFolder(r, from, to))) return false
      call = 'utimes()'
      await utimes(bytesOf(to), stats.atimeMs / 1000, stats.mtimeMs / 1000)
      return true
    }
    return stats.isFile() ? await copyWhole(r, from, to, stats) : true
  } catch (error) {
    const path = call === 'stat()' ? from : to
    r.log(call === 'utimes()' ? ALERT : CRIT, `${call} "${path}" failed (${errorText(error as SystemError)})`)
    // A link that leads nowhere.
    return call === 'stat()'
  }
}
