// open_file_cache: what was found under a path stays true for a while, without asking the kernel. One cache per directive
// and thread. Small files are kept with their content, big ones with their descriptor, missing ones if
// open_file_cache_errors says so.
//
// The map's order is the order of making or of the last look at an entry by tidy(), which throws out what nobody has asked
// for since (a clock, not a strict LRU: a hit writes one number and moves nothing).

import { FAILED, openFile, REGULAR, statFile, type OpenFile } from './open-file.ts'
import type { HttpRequest } from '../request.ts'
import { FOLLOW, LinkGuard } from './symlinks.ts'

/** Content all entries of one cache may keep together. Beyond it the least used go. */
const CONTENT_MAX = 64 * 1024 * 1024
/** Entries looked at when one is added. */
const TIDY_STEPS = 4

/** How a location gets at files: with the cache or without. */
export interface FileFinder {
  /** Opens it; for big files the caller must hold() and release(), or closeIfUnused(). */
  open(path: string, r: HttpRequest): OpenFile
  /** Only what it is. */
  look(path: string, r: HttpRequest): OpenFile
  readonly guard: LinkGuard
}

const follow = new LinkGuard(FOLLOW, null)

/** Without a cache, minding links. */
export function guardedFiles(guard: LinkGuard): FileFinder {
  return {
    guard,
    open: (path, r) => openFile(path, guard.rule, guard.trusted(r, path)),
    look: (path, r) => statFile(path, guard.rule, guard.trusted(r, path)),
  }
}

export interface CacheLimits {
  readonly max: number
  readonly inactiveMs: number
}

export class OpenFileCache {
  private readonly limits: CacheLimits
  private readonly files = new Map<string, OpenFile>()
  private content = 0

  constructor(limits: CacheLimits) {
    this.limits = limits
  }

  get size(): number {
    return this.files.size
  }

  /** The entry, if it is not too long unused. */
  find(path: string, nowMs: number): OpenFile | null {
    const file = this.files.get(path)
    if (file === undefined) return null
    if (nowMs - file.accessedMs > this.limits.inactiveMs) {
      this.remove(file)
      return null
    }
    file.accessedMs = nowMs
    file.isWanted = true
    return file
  }

  add(file: OpenFile, nowMs: number): void {
    this.tidy(nowMs)
    file.openedMs = nowMs
    file.accessedMs = nowMs
    this.files.set(file.path, file)
    if (file.isCached && file.text !== null) this.content += file.text.length
  }

  remove(file: OpenFile): void {
    if (!this.files.delete(file.path)) return
    if (file.isCached && file.text !== null) this.content -= file.text.length
    file.forget()
  }

  clear(): void {
    for (const file of this.files.values()) file.forget()
    this.files.clear()
    this.content = 0
  }

  /** Makes room for one more, and looks at a few of the oldest in any case. */
  private tidy(nowMs: number): void {
    let steps = TIDY_STEPS
    for (const file of this.files.values()) {
      const isFull = this.files.size >= this.limits.max || this.content > CONTENT_MAX
      if (!isFull && steps <= 0) return
      if (nowMs - file.accessedMs > this.limits.inactiveMs) this.remove(file)
      else if (!isFull) return
      else if (file.isWanted && steps > 0) this.giveSecondChance(file)
      else this.remove(file)
      steps--
    }
  }

  /** It was used since it was last looked at: to the end of the queue. */
  private giveSecondChance(file: OpenFile): void {
    file.isWanted = false
    this.files.delete(file.path)
    this.files.set(file.path, file)
  }
}

/** A location's view of the cache it shares with others. */
export class CachedFiles implements FileFinder {
  private readonly cache: OpenFileCache
  private readonly validMs: number
  private readonly minUses: number
  private readonly cachesErrors: boolean
  readonly guard: LinkGuard

  constructor(cache: OpenFileCache, validMs: number, minUses: number, cachesErrors: boolean, guard = follow) {
    this.cache = cache
    this.validMs = validMs
    this.minUses = minUses
    this.cachesErrors = cachesErrors
    this.guard = guard
  }

  open(path: string, r: HttpRequest): OpenFile {
    const nowMs = r.startMs
    const { guard } = this
    const trusted = guard.rule === FOLLOW ? 0 : guard.trusted(r, path)
    const known = this.cache.find(path, nowMs)
    if (known === null) return this.openAnew(path, trusted, nowMs, 1)
    known.uses++
    const isFresh = known.isCached && nowMs - known.openedMs < this.validMs
    // Another location may have been content with less.
    if (isFresh && known.linkRule === guard.rule && known.trusted === trusted) return known
    return this.openAnew(path, trusted, nowMs, known.uses)
  }

  look(path: string, r: HttpRequest): OpenFile {
    const file = this.open(path, r)
    file.closeIfUnused()
    return file
  }

  private openAnew(path: string, trusted: number, nowMs: number, uses: number): OpenFile {
    const old = this.cache.find(path, nowMs)
    if (old !== null) this.cache.remove(old)
    const file = openFile(path, this.guard.rule, trusted)
    if (file.kind === FAILED && !this.cachesErrors) return file
    file.uses = uses
    // Files must have shown that they are wanted before they take memory or a descriptor; the rest costs next to nothing.
    file.isCached = file.kind !== REGULAR || uses >= this.minUses
    this.cache.add(file, nowMs)
    return file
  }
}
