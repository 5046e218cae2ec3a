// A file as it was found when it was opened: what it is, how big, how old, and its content when it is small. Opening,
// looking and reading are one short sequence of synchronous calls, as in nginx without aio: what the page cache holds
// costs less than asking another thread for it. Only the content of big files is read asynchronously (file-parts.ts).

import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs'
import { Slot } from '../module.ts'
import { FOLLOW, openGuarded } from './symlinks.ts'
import { errorText } from '../../lib/errno.ts'
import { formatHttpDate } from '../../lib/http-date.ts'

/** What a path turned out to be. */
export const REGULAR = 1
export const DIRECTORY = 2
/** A device, a pipe, a socket. */
export const SPECIAL = 3
/** It could not be opened: see `code`, `failure`. */
export const FAILED = 4

/** Content up to this size is read at once and kept as text. */
export const SMALL_MAX = 65536

// A pipe must not block us until somebody writes to it.
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

/** The file that a response consists of. */
export const sentFile = new Slot<OpenFile>()

export class OpenFile {
  readonly path: string
  kind = FAILED
  /** May its owner execute it? */
  isExecutable = false
  size = 0
  /** Seconds since 1970. */
  mtime = 0
  lastModified = ''
  etag = ''
  // What tells it from another file, and from itself before a change. Times in ms.
  device = 0
  inode = 0
  mtimeMs = 0
  ctimeMs = 0
  /** The content as latin1 text, null for big files and whatever has none. */
  text: string | null = null
  /** Open for big files alone, else -1. */
  descriptor = -1
  /** 'ENOENT' and so on, '' when all went well. */
  code = ''
  /** Which call failed and why, worded for the log: `open() "…" failed (2: …)`. */
  failure = ''

  /** Its compressed forms, by how they were made; for files in a cache. */
  coded: Map<string, Buffer> | null = null

  // For the cache.
  uses = 1
  openedMs = 0
  accessedMs = 0
  /** Has it been asked for since the cache last looked? */
  isWanted = false
  /** Does the cache answer with it, or only count its uses? */
  isCached = false
  /** Those who read from the descriptor just now. */
  private holders = 0

  /** How it was opened (symlinks.ts). */
  readonly linkRule: number
  readonly trusted: number

  constructor(path: string, linkRule: number, trusted: number) {
    this.path = path
    this.linkRule = linkRule
    this.trusted = trusted
  }

  hold(): void {
    this.holders++
  }

  /** Closes the file when nobody needs it any more. */
  release(): void {
    this.holders--
    this.closeIfUnused()
  }

  /** The cache lets go of it. */
  forget(): void {
    this.isCached = false
    this.closeIfUnused()
  }

  /** For who has opened it and is not going to read from it. */
  closeIfUnused(): void {
    if (this.holders > 0 || this.isCached || this.descriptor < 0) return
    closeSync(this.descriptor)
    this.descriptor = -1
  }
}

/** Never throws; a big file's descriptor stays open until hold() and release(), or closeIfUnused(). The rule and how much of the path it spares:
 *  symlinks.ts. */
export function openFile(path: string, linkRule = FOLLOW, trusted = 0): OpenFile {
  const file = new OpenFile(path, linkRule, trusted)
  let descriptor = -1
  let call = linkRule === FOLLOW ? 'open()' : 'openat()'
  try {
    descriptor = linkRule === FOLLOW ? openSync(fileName(path), FLAGS) : openGuarded(path, linkRule, trusted, FLAGS)
    call = 'fstat()'
    const stats = fstatSync(descriptor)
    describe(file, stats)
    call = 'read()'
    if (file.kind === REGULAR) {
      if (file.size > SMALL_MAX) {
        file.descriptor = descriptor
        return file
      }
      file.text = readText(descriptor, file.size)
      // It was cut since we asked for its size.
      if (file.text.length < file.size) resize(file, file.text.length)
    }
  } catch (error) {
    fail(file, call, error as NodeJS.ErrnoException)
  }
  if (descriptor >= 0) closeSync(descriptor)
  return file
}

/** Only looks what the path is. */
export function statFile(path: string, linkRule = FOLLOW, trusted = 0): OpenFile {
  if (linkRule !== FOLLOW) return statGuarded(path, linkRule, trusted)
  const file = new OpenFile(path, FOLLOW, 0)
  try {
    describe(file, statSync(fileName(path)))
  } catch (error) {
    fail(file, 'stat()', error as NodeJS.ErrnoException)
  }
  return file
}

function statGuarded(path: string, linkRule: number, trusted: number): OpenFile {
  const file = new OpenFile(path, linkRule, trusted)
  let descriptor = -1
  try {
    descriptor = openGuarded(path, linkRule, trusted, FLAGS)
    describe(file, fstatSync(descriptor))
  } catch (error) {
    fail(file, 'openat()', error as NodeJS.ErrnoException)
  }
  if (descriptor >= 0) closeSync(descriptor)
  return file
}

/** For node:fs, which takes strings for UTF-8: our strings are bytes. */
export function fileName(path: string): string | Buffer {
  return /^[ -~]*$/.test(path) ? path : Buffer.from(path, 'latin1')
}

function describe(file: OpenFile, stats: Stats): void {
  file.kind = stats.isFile() ? REGULAR : stats.isDirectory() ? DIRECTORY : SPECIAL
  file.device = stats.dev
  file.inode = stats.ino
  file.mtimeMs = stats.mtimeMs
  file.ctimeMs = stats.ctimeMs
  file.isExecutable = (stats.mode & constants.S_IXUSR) !== 0
  file.mtime = Math.floor(stats.mtimeMs / 1000)
  file.lastModified = formatHttpDate(file.mtime)
  resize(file, stats.size)
}

/** nginx's entity tag: time and size. */
function resize(file: OpenFile, size: number): void {
  file.size = size
  file.etag = `"${file.mtime.toString(16)}-${size.toString(16)}"`
}

function fail(file: OpenFile, call: string, error: NodeJS.ErrnoException): void {
  file.kind = FAILED
  file.code = error.code ?? 'EINVAL'
  file.failure = `${call} "${file.path}" failed (${errorText(error)})`
}

const buffer = Buffer.allocUnsafeSlow(SMALL_MAX)

function readText(descriptor: number, size: number): string {
  let length = 0
  while (length < size) {
    const count = readSync(descriptor, buffer, length, size - length, length)
    if (count === 0) break
    length += count
  }
  return buffer.toString('latin1', 0, length)
}
