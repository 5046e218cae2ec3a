// Access logs whose path has variables: opened for each line, unless open_log_file_cache keeps those in use open.

import { closeSync, statSync, writeSync } from 'node:fs'
import { errorText } from '../../lib/errno.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { openForLog } from '../../log/log-file.ts'
import type { HttpRequest } from '../request.ts'

export interface LogFileCacheLimits {
  readonly max: number
  readonly inactiveMs: number
  readonly validMs: number
  readonly minUses: number
}

interface Entry {
  /** -1 until it has been used often enough to be kept open. */
  descriptor: number
  uses: number
  usedMs: number
  checkedMs: number
  identity: string
}

export class LogFileCache {
  private readonly limits: LogFileCacheLimits
  /** In the order of use, the least recent first. */
  private readonly entries = new Map<string, Entry>()

  constructor(limits: LogFileCacheLimits) {
    this.limits = limits
  }

  /** Throws what the system says. */
  write(path: string, bytes: Buffer): void {
    const now = Date.now()
    const entry = this.entryOf(path, now)
    this.entries.delete(path)
    const descriptor = entry.descriptor >= 0 ? entry.descriptor : openForLog(path)
    // Only what could be opened takes a place.
    this.entries.set(path, entry)
    this.tidy(now)
    if (entry.descriptor < 0 && entry.uses >= this.limits.minUses) {
      entry.descriptor = descriptor
      entry.checkedMs = now
      entry.identity = identityOf(path)
    }
    try {
      writeSync(descriptor, bytes)
    } finally {
      if (entry.descriptor < 0) closeSync(descriptor)
    }
  }

  private entryOf(path: string, now: number): Entry {
    let entry = this.entries.get(path)
    if (entry !== undefined && now - entry.usedMs > this.limits.inactiveMs) {
      this.drop(path, entry)
      entry = undefined
    }
    if (entry === undefined) entry = { descriptor: -1, uses: 0, usedMs: now, checkedMs: now, identity: '' }
    else this.check(path, entry, now)
    entry.uses++
    entry.usedMs = now
    return entry
  }

  /** After `valid` the path may have become another file. */
  private check(path: string, entry: Entry, now: number): void {
    if (entry.descriptor < 0 || now - entry.checkedMs <= this.limits.validMs) return
    entry.checkedMs = now
    if (identityOf(path) === entry.identity) return
    closeSync(entry.descriptor)
    entry.descriptor = -1
  }

  private tidy(now: number): void {
    for (const [path, entry] of this.entries) {
      if (this.entries.size <= this.limits.max && now - entry.usedMs <= this.limits.inactiveMs) return
      this.drop(path, entry)
    }
  }

  private drop(path: string, entry: Entry): void {
    this.entries.delete(path)
    if (entry.descriptor >= 0) closeSync(entry.descriptor)
  }

  clear(): void {
    for (const [path, entry] of this.entries) this.drop(path, entry)
  }
}

function identityOf(path: string): string {
  const stats = statSync(Buffer.from(path, 'latin1'), { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? '' : `${stats.dev}:${stats.ino}`
}

/**
 * Appends a line. Nothing is written, nor a file made, for a document root that does not exist: a name that a client has
 * thought up must not fill the disk with logs.
 */
export function writeToPath(r: HttpRequest, path: string, line: string, cache: LogFileCache | null): void {
  // A session of the stream module has no document root.
  if ((r.location as HttpRequest['location'] | undefined) !== undefined && !rootExists(r)) return
  const bytes = Buffer.from(line, 'latin1')
  try {
    if (cache === null) writeOnce(path, bytes)
    else cache.write(path, bytes)
  } catch (error) {
    const { syscall = 'open' } = error as NodeJS.ErrnoException
    r.log(CRIT, `${syscall}() "${path}" failed (${errorText(error as NodeJS.ErrnoException)})`)
  }
}

function writeOnce(path: string, bytes: Buffer): void {
  const descriptor = openForLog(path)
  try {
    writeSync(descriptor, bytes)
  } finally {
    closeSync(descriptor)
  }
}

function rootExists(r: HttpRequest): boolean {
  const { root: folder, aliasLength } = r.location
  const root = folder.get(r)
  try {
    const stats = statSync(Buffer.from(root, 'latin1'))
    // An alias may name a file (nginx has seen that it is there when it sent it).
    if (stats.isDirectory() || (aliasLength >= 0 && stats.isFile())) return true
    r.log(ERR, `testing "${root}" existence failed (20: Not a directory)`)
  } catch (error) {
    r.log(ERR, `testing "${root}" existence failed (${errorText(error as NodeJS.ErrnoException)})`)
  }
  return false
}
