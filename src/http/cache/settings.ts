// A location's cache directives, under the prefix of each kind of upstream (proxy_cache, fastcgi_cache …) and that of applications
// (app_cache), and what they come to.

import type { Directive, Directives, Scope } from '../../config/directive.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSeconds } from '../../config/units.ts'
import { bitmask, flag, list, number, offset, one, predicates, template, time } from '../../config/values.ts'
import type { LocationBuilder, Value } from '../module.ts'
import { fileSending, type FileSending } from '../files/send-file.ts'
import { Registry, RegistryKey, type HttpSetup } from '../setup.ts'
import type { UpstreamSettings } from '../upstream/settings.ts'
import { ERROR, NEXT_UPSTREAM, nextUpstreamWords, NO_LIVE, OFF } from '../upstream/settings.ts'
import { cachePathDirective } from './path.ts'
import type { CacheZone } from './zone.ts'

const anywhere = HTTP | SERVER | LOCATION

/** One `_valid`: statuses (0: any) and seconds. */
interface Validity {
  readonly statuses: readonly number[]
  readonly seconds: number
}

const valid = list<Validity>(anywhere, [1, Infinity], (args, at) => {
  const last = args.at(-1)!
  const seconds = parseSeconds(last) ?? at.fail(`invalid time value "${last}"`)
  const statuses = args.slice(0, -1).map(word => {
    if (word === 'any') return 0
    const status = /^\d{1,9}$/.test(word) ? Number(word) : -1
    return status >= 100 && status <= 599 ? status : at.fail(`invalid status "${word}"`)
  })
  return { statuses: statuses.length === 0 ? [200, 301, 302] : statuses, seconds }
})

const GET = 1
const HEAD = 2
const POST = 4

const common = {
  cache: one<Template | null>(anywhere, null, (word, at) => {
    if (word === '') at.fail('invalid cache zone ""')
    return word === 'off' ? null : Template.parse(word, at)
  }),
  cache_key: template(anywhere, null),
  cache_bypass: predicates(anywhere),
  no_cache: predicates(anywhere),
  cache_valid: valid,
  cache_min_uses: number(anywhere, 1),
  cache_max_range_offset: offset(anywhere, Infinity),
  cache_use_stale: bitmask(anywhere, NEXT_UPSTREAM, 0),
  cache_methods: bitmask(anywhere, { GET, HEAD, POST }, GET | HEAD),
  cache_lock: flag(anywhere, false),
  cache_lock_timeout: time(anywhere, 5000),
  cache_lock_age: time(anywhere, 5000),
  cache_revalidate: flag(anywhere, false),
  cache_background_update: flag(anywhere, false),
  cache_convert_head: flag(anywhere, true),
}
type Common = typeof common

export const PREFIXES = ['proxy', 'fastcgi', 'uwsgi', 'scgi', 'app'] as const

function declare(prefix: string): Directives {
  const all: Record<string, Directive<any>> = { [`${prefix}_cache_path`]: cachePathDirective }
  for (const [name, directive] of Object.entries(common)) {
    // Only HTTP has it: the others say the method in their own way.
    if (name === 'cache_convert_head' && prefix !== 'proxy') continue
    all[`${prefix}_${name}`] = directive
  }
  all[`${prefix}_cache_use_stale`] = bitmask(anywhere, nextUpstreamWords(prefix), 0)
  return all
}

/** Made once: a value is found by its declaration. */
const declarations = new Map(PREFIXES.map(prefix => [prefix as string, declare(prefix)]))

export function cacheDirectives(prefix: string): Directives {
  return declarations.get(prefix)!
}

export const CACHES = new RegistryKey<CacheSlot>('cache')

/** A declared cache; `zone` is there once the thread has started. */
export interface CacheSlot {
  zone: CacheZone | null
}

export interface CacheSettings {
  /** Null where `name` has variables. */
  readonly cache: CacheSlot | null
  readonly name: Value
  readonly prefix: string
  readonly caches: Registry<CacheSlot>
  /** Null: what the fetcher says itself. */
  readonly key: Value | null
  readonly bypass: readonly Value[]
  readonly noCache: readonly Value[]
  readonly valid: readonly Validity[]
  readonly minUses: number
  readonly maxRangeOffset: number
  readonly useStale: number
  readonly methods: number
  readonly lock: boolean
  readonly lockTimeout: number
  readonly lockAge: number
  readonly revalidate: boolean
  readonly backgroundUpdate: boolean
  readonly convertHead: boolean
  readonly sending: FileSending
}

/** Address and URI, or host and URI. */
const HAS_OWN_KEY = new Set(['proxy', 'app'])
/** Everything is kept under the same one, where it must be said and is not. */
const NO_KEY: Value = { constant: '', get: () => '' }

/** Of every block in which a cache is in force without its key: only `proxy_cache_key` and `app_cache_key` have sensible defaults. */
export function warnOfMissingKey(prefix: string, at: LocationBuilder, http: HttpSetup): void {
  const conf = at.scope.conf(declarations.get(prefix)!)
  if (conf[`${prefix}_cache`] === null || conf[`${prefix}_cache_key`] !== null) return
  http.warn(`no "${prefix}_cache_key" for "${prefix}_cache"`)
}

/** Is there a cache of that name, wherever it is said, be there an upstream or not? */
export function checkCacheName(prefix: string, at: LocationBuilder, http: HttpSetup): void {
  const name = (at.scope.conf(declarations.get(prefix)!)[`${prefix}_cache`] as Template | null)?.constant ?? null
  if (name === null || http.registry(CACHES).get(`${prefix} ${name}`) !== null) return
  const problem = `"${prefix}_cache" zone "${name}" is unknown`
  for (let scope: Scope | null = at.scope; scope !== null; scope = scope.parent) {
    scope.site(`${prefix}_cache`)?.fail(problem)
  }
}

/** Null: this location has no cache, or its kind of upstream has none. */
export function cacheSettings(prefix: string, at: LocationBuilder, http: HttpSetup): CacheSettings | null {
  const declared = declarations.get(prefix)
  if (declared === undefined) return null
  const conf = at.scope.conf(declared)
  const get = <K extends keyof Common>(name: K): Common[K]['default'] =>
    (conf[`${prefix}_${name}`] ?? common[name].default) as Common[K]['default']
  const cache = get('cache')
  if (cache === null) return null
  const caches = http.registry(CACHES)
  const name = at.value(cache)
  const fixed = name.constant === null ? null : caches.get(`${prefix} ${name.constant}`)
  const key = get('cache_key')
  const stale = get('cache_use_stale')
  return {
    cache: fixed,
    name,
    prefix,
    caches,
    key: key !== null ? at.value(key) : HAS_OWN_KEY.has(prefix) ? null : NO_KEY,
    bypass: get('cache_bypass').map(text => at.value(text)),
    noCache: get('no_cache').map(text => at.value(text)),
    valid: get('cache_valid'),
    minUses: get('cache_min_uses'),
    maxRangeOffset: get('cache_max_range_offset'),
    useStale: (stale & OFF) !== 0 ? OFF : (stale & ERROR) !== 0 ? stale | NO_LIVE : stale,
    methods: get('cache_methods') | GET | HEAD,
    lock: get('cache_lock'),
    lockTimeout: get('cache_lock_timeout'),
    lockAge: get('cache_lock_age'),
    revalidate: get('cache_revalidate'),
    backgroundUpdate: get('cache_background_update'),
    // Where the method is not ours to say, only the body that comes is read.
    convertHead: prefix !== 'proxy' || get('cache_convert_head'),
    sending: fileSending(at),
  }
}

/** The settings of a location's upstream with its cache: one way of keeping responses at a time, the one nearer to the place
 *  (both in one block are refused). */
export function withCache(
  prefix: string,
  settings: UpstreamSettings,
  at: LocationBuilder,
  http: HttpSetup,
): UpstreamSettings {
  const cache = cacheSettings(prefix, at, http)
  if (cache === null || settings.store === null) return { ...settings, cache }
  if (!at.has(`${prefix}_cache`)) return settings
  const [cached, stored] = [at.site(`${prefix}_cache`)!, at.site(`${prefix}_store`)]
  if (stored !== null) {
    const [first, second] = cached.order < stored.order ? ['cache', 'store'] : ['store', 'cache']
    const site = second === 'cache' ? cached : stored
    site.fail(`"${prefix}_${second}" directive is incompatible with "${prefix}_${first}"`)
  }
  return { ...settings, cache, store: null }
}

export function isCachedMethod({ methods }: CacheSettings, method: string): boolean {
  const bit = method === 'GET' ? GET : method === 'HEAD' ? HEAD : method === 'POST' ? POST : 0
  return (methods & bit) !== 0
}

/** Seconds that a response of that status may be used where it does not say itself; 0: not at all. */
export function validityOf({ valid }: CacheSettings, status: number): number {
  for (const { statuses, seconds } of valid) if (statuses.includes(0) || statuses.includes(status)) return seconds
  return 0
}
