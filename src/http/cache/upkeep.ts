// What nginx's cache manager and loader processes do, in the first thread: files that were not asked for too long go, and
// more of them when there are too many; what a former process has left in the folder is made known.

import { readdir, stat, statfsSync, unlink, type Dirent } from 'node:fs'
import { NOTICE, type ErrorLog } from '../../log/error-log.ts'
import type { CachePath } from './path.ts'
import { BLOCK, type CacheZone } from './zone.ts'

/** Until then the first requests have the machine for themselves. */
const FIRST_LOOK_MS = 500
const LOADER_DELAY_MS = 2000
/** A temporary file this old is left over from a process that is no more. */
const LEFT_OVER_MS = 3_600_000

export class Upkeep {
  private readonly zone: CacheZone
  private readonly path: CachePath
  private readonly errorLog: ErrorLog
  private managerTimer: NodeJS.Timeout | null = null
  private loaderTimer: NodeJS.Timeout | null = null
  private isStopped = false

  constructor(zone: CacheZone, errorLog: ErrorLog) {
    this.zone = zone
    this.path = zone.path
    this.errorLog = errorLog
  }

  start(): void {
    this.managerTimer = setTimeout(() => this.manage(), FIRST_LOOK_MS).unref()
    if (this.zone.isCold) this.loaderTimer = setTimeout(() => this.load(), LOADER_DELAY_MS).unref()
  }

  stop(): void {
    this.isStopped = true
    if (this.managerTimer !== null) clearTimeout(this.managerTimer)
    if (this.loaderTimer !== null) clearTimeout(this.loaderTimer)
  }

  // ── the manager ──────────────────────────────────────────────────────────────────────────────────────────────────

  private manage(): void {
    const next = this.sweep()
    if (!this.isStopped) this.managerTimer = setTimeout(() => this.manage(), next).unref()
  }

  /** Milliseconds until the next one. */
  private sweep(): number {
    const { zone, path } = this
    if (zone.recover()) this.load()
    const started = performance.now()
    let files = 0
    const isEnough = (): boolean => ++files >= path.managerFiles || performance.now() - started >= path.managerThreshold
    let wait = zone.expire()
    while (wait <= 0) {
      if (isEnough()) return path.managerSleep
      wait = zone.expire()
    }
    while (this.isTooBig()) {
      if (!zone.evict()) break
      if (isEnough()) return path.managerSleep
    }
    return Math.max(wait * 1000, 100)
  }

  private isTooBig(): boolean {
    const { zone, path } = this
    if (zone.blocks * BLOCK >= path.maxSize || zone.count >= zone.watermark) return true
    return path.minFree > 0 && freeSpace(path.folder) <= path.minFree
  }

  // ── the loader ───────────────────────────────────────────────────────────────────────────────────────────────────

  private load(): void {
    new Walk(
      this.zone,
      () => this.isStopped,
      () => this.loaded(),
    ).run()
  }

  private loaded(): void {
    const { zone, path } = this
    zone.warm()
    const megabytes = ((zone.blocks * BLOCK) / (1024 * 1024)).toFixed(3)
    this.errorLog.log(NOTICE, `http file cache: ${path.folder} ${megabytes}M, bsize: ${BLOCK}`)
  }
}

function freeSpace(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(Buffer.from(folder, 'latin1'))
    return bavail * bsize
  } catch {
    return Infinity
  }
}

/** Looks at all files below the folder, some at a time. */
class Walk {
  private readonly zone: CacheZone
  private readonly isStopped: () => boolean
  private readonly ended: () => void
  private readonly folders: { path: string; depth: number }[]
  private names: string[] = []
  private folder = ''
  private files = 0
  /** Of the files looked at since the last pause. */
  private begun = performance.now()

  constructor(zone: CacheZone, isStopped: () => boolean, ended: () => void) {
    this.zone = zone
    this.isStopped = isStopped
    this.ended = ended
    this.folders = [{ path: zone.path.folder, depth: 0 }]
  }

  run(): void {
    if (this.isStopped()) return
    const name = this.names.pop()
    if (name !== undefined) this.look(name)
    else {
      const next = this.folders.pop()
      if (next === undefined) this.ended()
      else this.list(next.path, next.depth)
    }
  }

  private list(path: string, depth: number): void {
    readdir(Buffer.from(path, 'latin1'), { withFileTypes: true, encoding: 'latin1' }, (error, entries) => {
      if (error === null) this.take(path, depth, entries)
      this.run()
    })
  }

  private take(path: string, depth: number, entries: Dirent[]): void {
    this.folder = path
    for (const entry of entries) {
      if (entry.isFile()) this.names.push(entry.name)
      else if (entry.isDirectory() && depth < 3 && /^[0-9a-f]{1,2}$/.test(entry.name))
        this.folders.push({ path: `${path}/${entry.name}`, depth: depth + 1 })
    }
  }

  private look(name: string): void {
    const path = Buffer.from(`${this.folder}/${name}`, 'latin1')
    stat(path, (error, stats) => {
      if (error === null && /^[0-9a-f]{32}$/.test(name))
        this.zone.load(Buffer.from(name, 'hex').toString('latin1'), stats.size)
      else if (error === null && name.endsWith('.tmp') && Date.now() - stats.mtimeMs > LEFT_OVER_MS) {
        // Whoever wrote it is no more.
        unlink(path, () => {})
      }
      this.pause()
    })
  }

  private pause(): void {
    const { loaderFiles, loaderSleep, loaderThreshold } = this.zone.path
    if (++this.files < loaderFiles && performance.now() - this.begun < loaderThreshold) this.run()
    else setTimeout(() => this.goOn(), loaderSleep).unref()
  }

  private goOn(): void {
    this.files = 0
    this.begun = performance.now()
    this.run()
  }
}
