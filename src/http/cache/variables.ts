// $upstream_cache_*: what the cache had to do with a request.

import { formatHttpDate, NO_DATE, parseHttpDate } from '../../lib/http-date.ts'
import type { Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { appAnswer } from '../upstream/app-answer.ts'
import { upstreamSlot } from '../upstream/exchange.ts'
import type { Entry } from './entry-file.ts'
import type { CacheLookup } from './lookup.ts'

export const cacheVariables: Readonly<Record<string, Variable>> = {
  upstream_cache_status: { get: r => lookupOf(r)?.status ?? null },
  upstream_cache_last_modified: { get: lastModified },
  upstream_cache_etag: { get: r => fieldOf(staleOf(r), 'etag') },
}

function lookupOf(r: HttpRequest): CacheLookup | null {
  return (upstreamSlot.get(r) ?? appAnswer.get(r))?.cache ?? null
}

/** What is to be asked about, if it is still good. */
function staleOf(r: HttpRequest): Entry | null {
  const cache = lookupOf(r)
  if (cache === null || cache.status !== 'EXPIRED' || !cache.conf.revalidate || cache.entry === null) return null
  const status = cache.entry.head.slice(0, 3)
  return status === '200' || status === '206' ? cache.entry : null
}

function lastModified(r: HttpRequest): string | null {
  const value = fieldOf(staleOf(r), 'last-modified')
  if (value === null) return null
  const time = parseHttpDate(value)
  return time === NO_DATE ? null : formatHttpDate(time)
}

function fieldOf(entry: Entry | null, name: string): string | null {
  if (entry === null) return null
  for (const line of entry.head.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon === name.length && line.slice(0, colon).toLowerCase() === name) return line.slice(colon + 2)
  }
  return null
}
