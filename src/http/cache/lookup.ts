// What the cache has for one request, and what becomes of the response that has to be fetched in its place
// (ngx_http_upstream_cache, ngx_http_file_cache_open):
//
//   fresh ──▶ HIT: it is served, no upstream is asked
//   stale ──▶ EXPIRED: the upstream is asked; what it says takes the file's place, or the file is used all the same (STALE,
//             REVALIDATED). While another request does so: UPDATING serves it, or the background does the asking
//   none  ──▶ MISS: the upstream is asked, at most by one request at a time where cache_lock says so

import { Timer, timers } from '../../lib/timer-wheel.ts'
import { CRIT, ERR, INFO } from '../../log/error-log.ts'
import { dropField } from '../altered-body.ts'
import type { HttpRequest } from '../request.ts'
import { startSubrequest } from '../subrequest.ts'
import { statusOf } from '../upstream/retry.ts'
import { UPDATING as WHILE_UPDATING } from '../upstream/settings.ts'
import { backgroundUpdate } from './background.ts'
import { BROKEN, closeEntry, MISSING, readEntry, updateTimes, type Entry, type EntryTimes } from './entry-file.ts'
import type { Fetcher } from './fetcher.ts'
import { Freshness, freshnessOf } from './freshness.ts'
import { serveEntry } from './serve.ts'
import { isCachedMethod, validityOf, type CacheSettings } from './settings.ts'
import { CachedResponse } from './stored-response.ts'
import { digestOf, variantOf } from './variant.ts'
import { KNOWN, SCARCE, seconds, UNKNOWN, type CacheZone } from './zone.ts'

export type CacheStatus = 'MISS' | 'BYPASS' | 'EXPIRED' | 'STALE' | 'UPDATING' | 'REVALIDATED' | 'HIT'

/** How often a lock is looked at that another thread may hold. */
const LOCK_POLL_MS = 100

/** The first thing an exchange does. True: it is answered, or will be gone on with. */
export function askCache(x: Fetcher, conf: CacheSettings): boolean {
  if (!isCachedMethod(conf, x.r.method) || x.isStreaming) return false
  const zone = zoneOf(x, conf)
  if (zone === null) return false
  if (typeof zone === 'string') {
    x.r.log(ERR, `cache "${zone}" not found`)
    x.finalize(500)
    return true
  }
  if (x.r.method === 'HEAD' && conf.convertHead) x.method = 'GET'
  const lookup = new CacheLookup(x, conf, zone)
  if (isKeyTooLong(x, conf, lookup.key)) return false
  x.cache = lookup
  if (conf.bypass.some(value => isTrue(value.get(x.r)))) {
    lookup.status = 'BYPASS'
    return false
  }
  if (isFarRange(x.r, conf.maxRangeOffset)) lookup.cacheable = false
  return lookup.run()
}

/** What nginx's files have in front of the key, and behind it for a small head. */
const AROUND_KEY = 343 + 256

/** nginx reads the beginning of a cached file into the buffer for a response's head: what is too long for that is not cached. */
function isKeyTooLong({ r, headMax }: Fetcher, { prefix }: CacheSettings, key: string): boolean {
  const needed = key.length + AROUND_KEY
  if (needed <= headMax) return false
  const problem = `${prefix}_buffer_size ${headMax} is not enough for cache key`
  r.log(ERR, `${problem}, it should be increased to at least ${Math.ceil(needed / 1024) * 1024}`)
  return true
}

/** null: no cache is wanted; a string: the name of one there is not. */
function zoneOf(x: Fetcher, conf: CacheSettings): CacheZone | string | null {
  if (conf.cache !== null) return conf.cache.zone
  const name = conf.name.get(x.r)
  if (name === '' || name === 'off') return null
  return conf.caches.get(`${conf.prefix} ${name}`)?.zone ?? name
}

/** Does the client want a range that begins so far in that the whole is not to be fetched for it? */
function isFarRange(r: HttpRequest, max: number): boolean {
  if (max === Infinity) return false
  const range = r.header('range')
  if (range === null || max === 0) return range !== null
  if (range.length < 7 || !/^bytes=/i.test(range)) return false
  const [, start] = /^ *(-|\d*)/.exec(range.slice(6))!
  return start === '-' || (start !== '' && Number(start) >= max)
}

export function isTrue(value: string): boolean {
  return value !== '' && value !== '0'
}

export class CacheLookup {
  readonly x: Fetcher
  readonly conf: CacheSettings
  readonly zone: CacheZone
  readonly key: string
  status: CacheStatus = 'MISS'
  /** May the response that is going to come be kept? */
  cacheable = true
  /** Under which it is looked for and kept: the key's own digest, or that of the variant. */
  id: string
  private readonly mainId: string
  /** A stale one, kept at hand while the upstream is asked. */
  entry: Entry | null = null
  /** Others wait for us. */
  private isClaimed = false
  private timer: Timer<CacheLookup> | null = null
  private waitsUntil = 0
  private isWaiting = false
  private mayWait: boolean
  freshness = new Freshness()

  constructor(x: Fetcher, conf: CacheSettings, zone: CacheZone) {
    this.x = x
    this.conf = conf
    this.zone = zone
    this.mayWait = conf.lock
    this.key = conf.key === null ? x.ownKey : conf.key.get(x.r)
    this.id = this.mainId = digestOf(this.key)
  }

  /** True: answered, or waiting. */
  run(): boolean {
    const { zone, conf } = this
    const known = zone.enter(this.id, conf.minUses)
    if (known > SCARCE) {
      // A status that is remembered in place of a response.
      this.status = 'HIT'
      this.x.finalize(known)
      return true
    }
    if (known === SCARCE) {
      this.cacheable = false
      return false
    }
    const mayExist = known === KNOWN ? zone.exists : zone.isCold
    const entry = mayExist ? this.read() : null
    if (entry !== null) return this.found(entry)
    if (known === UNKNOWN && conf.minUses > 1) {
      this.cacheable = false
      return false
    }
    return this.lock()
  }

  private read(): Entry | null {
    const { zone } = this
    const { stamp } = zone
    const nowMs = Date.now()
    const recent = zone.exists ? zone.recent.get(this.id, stamp, nowMs) : null
    if (recent !== null && recent.key === this.key) return recent
    try {
      const entry = readEntry(zone.fileOf(this.id))
      if (entry === MISSING) {
        zone.missing(this.id)
        return null
      }
      if (entry !== BROKEN && entry.key === this.key) {
        if (!zone.exists) zone.found(this.id, entry.size)
        else if (entry.body !== null) zone.recent.add(this.id, entry, stamp, nowMs)
        return entry
      }
      if (entry !== BROKEN) closeEntry(entry)
      this.x.r.log(CRIT, `cache file "${zone.fileOf(this.id).toString('latin1')}" is broken or another key's`)
    } catch (error) {
      this.x.r.log(CRIT, `cache file could not be read (${(error as Error).message})`)
    }
    return null
  }

  private found(entry: Entry): boolean {
    if (entry.vary !== '') {
      const variant = variantOf(this.x.r, this.mainId, entry.vary)
      if (variant !== entry.variant) {
        closeEntry(entry)
        if (this.id !== this.mainId) return this.lock()
        this.id = variant
        return this.run()
      }
    }
    const now = seconds()
    if (entry.validSec >= now) return this.serve(entry, 'HIT')
    return this.foundStale(entry, now)
  }

  private foundStale(entry: Entry, now: number): boolean {
    const { conf, x } = this
    const isBackground = x.r.parent !== null && x.r.stream.background === true
    const mayBeUsed =
      ((conf.useStale & WHILE_UPDATING) !== 0 || entry.validSec + entry.updatingSec >= now) && !isBackground
    this.isClaimed = this.zone.claim(this.id)
    if (this.isClaimed && mayBeUsed && conf.backgroundUpdate) {
      this.isClaimed = false
      return this.serveAndUpdate(entry)
    }
    if (!this.isClaimed && mayBeUsed) return this.serve(entry, 'UPDATING')
    // What runs in the background has been given its parent's claim.
    if (isBackground) this.isClaimed = true
    this.status = 'EXPIRED'
    this.entry = entry
    return false
  }

  /** The claim on the key is the background's from here on. */
  private serveAndUpdate(entry: Entry): boolean {
    const { id, zone } = this
    const update = backgroundUpdate(this)
    this.serve(entry, 'STALE')
    if (update === null) zone.release(id)
    else startSubrequest(update)
    return true
  }

  /** Nobody but the one who claimed the key shall ask the upstream. */
  private lock(): boolean {
    const { conf, zone } = this
    if (!this.mayWait) return false
    if (zone.claim(this.id, conf.lockAge)) {
      this.isClaimed = true
      return false
    }
    if (this.waitsUntil === 0) this.waitsUntil = performance.now() + conf.lockTimeout
    if (performance.now() >= this.waitsUntil) {
      this.mayWait = false
      this.cacheable = false
      return false
    }
    this.isWaiting = true
    zone.wait(this.id, this)
    this.timer ??= new Timer<CacheLookup>(this, lookup => lookup.wake())
    timers.arm(this.timer, Math.min(LOCK_POLL_MS, this.waitsUntil - performance.now()))
    return true
  }

  /** The lock may be free, or has been waited for too long. */
  wake(): void {
    if (!this.isWaiting || this.x.r.done) return
    const isLate = performance.now() >= this.waitsUntil
    if (!isLate && this.zone.isClaimed(this.id, this.conf.lockAge)) {
      timers.arm(this.timer!, Math.min(LOCK_POLL_MS, this.waitsUntil - performance.now()))
      return
    }
    this.stopWaiting()
    if (isLate) this.x.r.log(INFO, 'cache lock timeout')
    if (!this.run()) this.x.proceed()
  }

  private stopWaiting(): void {
    if (!this.isWaiting) return
    this.isWaiting = false
    timers.release(this.timer!)
    this.zone.stopWaiting(this.id, this)
  }

  private serve(entry: Entry, status: CacheStatus): boolean {
    this.status = status
    serveEntry(this.x, this.conf, entry)
    return true
  }

  // ── what the upstream says ───────────────────────────────────────────────────────────────────────────────────────

  /** Its head is there. True: the client gets what the cache has instead. `more`: bytes came that nobody asked for. */
  takeHead(why: number, more: boolean): boolean {
    const { x } = this
    this.freshness = freshnessOf(x.names, x.values, x.ignored, seconds())
    if (!this.freshness.cacheable) this.cacheable = false
    return (x.status === 304 && this.revalidate(more)) || (why !== 0 && this.useStale(why, false))
  }

  /** No response could be had. True: the client gets the stale one. */
  failed(why: number): boolean {
    if (this.useStale(why, true)) return true
    const status = statusOf(why)
    if (status === 502 || status === 504) this.rememberStatus(status)
    return false
  }

  /** A failure of that kind, and the stale one may be used instead. `isLost`: there is no response at all, for which
   *  stale-if-error is there too. */
  private useStale(why: number, isLost: boolean): boolean {
    const { entry, conf } = this
    if (entry === null || this.status !== 'EXPIRED') return false
    const isWithin = isLost && entry.validSec + entry.errorSec >= seconds()
    if ((conf.useStale & why) === 0 && !isWithin) return false
    this.entry = null
    return this.serve(entry, 'STALE')
  }

  /** 304: the stale one is as good as new. */
  private revalidate(more: boolean): boolean {
    const { entry, conf, x } = this
    if (entry === null || this.status !== 'EXPIRED' || !conf.revalidate) return false
    const now = seconds()
    const said = this.freshness
    const from = said.validSec !== 0 ? said : oldFreshness(entry, x.ignored, now)
    const byStatus = validityOf(conf, Number(entry.head.slice(0, 3)))
    const validSec = from.validSec !== 0 ? from.validSec : byStatus === 0 ? 0 : now + byStatus
    if (validSec !== 0) this.prolong({ validSec, date: now, updatingSec: from.updatingSec, errorSec: from.errorSec })
    this.entry = null
    x.passOver(more)
    return this.serve(entry, 'REVALIDATED')
  }

  private prolong(times: EntryTimes): void {
    try {
      updateTimes(this.zone.fileOf(this.id), times)
      this.zone.changed(this.id)
    } catch (error) {
      this.x.r.log(CRIT, `cache file could not be updated (${(error as Error).message})`)
    }
  }

  /** A status that an error page is going to stand for: remembered in place of a response. */
  rememberStatus(status: number): void {
    if (!this.cacheable || this.status === 'BYPASS') return
    const now = seconds()
    const valid = validityOf(this.conf, status)
    const until = this.freshness.validSec !== 0 ? this.freshness.validSec : valid === 0 ? 0 : now + valid
    if (until !== 0) this.zone.failed(this.id, status, until)
  }

  /** Where the response goes that begins now; null: it is not kept. */
  storing(): CachedResponse | null {
    const until = this.keepUntil()
    if (until === 0) return null
    // Nobody has looked whether there is one.
    if (this.status === 'BYPASS') this.zone.enter(this.id, 1)
    return new CachedResponse(this, until)
  }

  /** The upstream was asked for the whole, unconditionally: the client gets its part, and only if it must, as if from the cache. */
  weigh(hasRange: boolean): void {
    const { r } = this.x
    const { dateRule, maxRanges } = this.conf.sending
    r.conditional = dateRule
    if (hasRange || r.responseHeader('accept-ranges') === null) return
    dropField(r, 'accept-ranges')
    if (r.status === 200) r.rangesMax = Math.min(1, maxRanges)
  }

  /** Up to when it may be used, 0 if it is not to be kept. */
  private keepUntil(): number {
    const { x, conf } = this
    if (!this.cacheable || conf.noCache.some(value => isTrue(value.get(x.r)))) return 0
    if (this.freshness.validSec !== 0) return this.freshness.validSec
    const valid = validityOf(conf, x.status)
    return valid === 0 ? 0 : seconds() + valid
  }

  /** The response goes under the key its own Vary says. Answers the variant, '' where there is none. */
  settleVariant(): string {
    const { vary } = this.freshness
    const variant = vary === '' ? '' : variantOf(this.x.r, this.mainId, vary)
    if (this.id !== this.mainId && this.id !== variant) {
      this.free()
      this.id = this.mainId
      this.zone.enter(this.id, 1)
    }
    return variant
  }

  /** The file is in its place. */
  stored(size: number): void {
    this.isClaimed = false
    this.zone.stored(this.id, size)
  }

  /** The exchange is over, whichever way. */
  free(): void {
    this.stopWaiting()
    if (this.isClaimed) {
      this.isClaimed = false
      this.zone.release(this.id)
    }
    if (this.entry === null) return
    closeEntry(this.entry)
    this.entry = null
  }
}

/** What the fields of a stored head say if they had been said now. */
function oldFreshness(entry: Entry, ignored: number, now: number): Freshness {
  const names: string[] = []
  const values: string[] = []
  for (const line of entry.head.split('\r\n').slice(1)) {
    const colon = line.indexOf(': ')
    if (colon < 0) continue
    names.push(line.slice(0, colon).toLowerCase())
    values.push(line.slice(colon + 2))
  }
  return freshnessOf(names, values, ignored, now)
}
