// What a location's cache has to do with a request, in words, for `portico explain`.

import type { HttpRequest } from '../request.ts'
import { isTrue } from './lookup.ts'
import type { CacheSettings } from './settings.ts'
import { isCachedMethod } from './settings.ts'

/** @param ownKey what a response is kept under where no key is configured */
export function describeCache(r: HttpRequest, conf: CacheSettings | null, ownKey: string): string[] {
  if (conf === null) return []
  const name = conf.name.get(r)
  const directive = `${conf.prefix}_cache`
  if (name === '' || name === 'off') return [`${directive} is off`]
  const cache = `cache "${name}"`
  if (conf.cache === null && conf.caches.get(`${conf.prefix} ${name}`) === null) return [`${cache} is unknown: 500`]
  if (!isCachedMethod(conf, r.method)) return [`${cache} is not for ${r.method} (${directive}_methods)`]
  const passed = conf.bypass.some(value => isTrue(value.get(r)))
  const refused = conf.noCache.some(value => isTrue(value.get(r)))
  return [
    `${cache}, key "${conf.key === null ? ownKey : conf.key.get(r)}"`,
    ...(passed ? [`${cache} is passed by (${directive}_bypass)`] : []),
    refused ? `the response is not kept (${conf.prefix}_no_cache)` : keeping(conf),
  ]
}

function keeping({ minUses, valid }: CacheSettings): string {
  const times = valid.map(({ seconds, statuses }) => {
    const which = statuses.map(status => (status === 0 ? 'any' : status)).join(' ')
    return seconds === 0 ? `${which} not` : `${which} for ${written(seconds)}`
  })
  const otherwise = times.length === 0 ? '' : `, else ${times.join(', ')}`
  return `kept ${minUses > 1 ? `from request ${minUses} on, ` : ''}for as long as the response says${otherwise}`
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const

/** As in a configuration: `10m`. */
function written(seconds: number): string {
  const unit = UNITS.find(([, size]) => seconds % size === 0)
  return unit === undefined ? `${seconds}s` : `${seconds / unit[1]}${unit[0]}`
}
