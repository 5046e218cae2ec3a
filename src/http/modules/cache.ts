// proxy_cache and its relatives under the other prefixes: responses of upstreams kept as files (ngx_http_file_cache.c).
// The work is http/cache's; here are its directives, its caches and its variables.

import type { Directives } from '../../config/directive.ts'
import type { CachePath } from '../cache/path.ts'
import { cacheDirectives, CACHES, checkCacheName, PREFIXES, type CacheSlot } from '../cache/settings.ts'
import { Upkeep } from '../cache/upkeep.ts'
import { CacheZone } from '../cache/zone.ts'
import { cacheVariables } from '../cache/variables.ts'
import { httpModule } from '../module.ts'
import { RegistryKey, type HttpSetup } from '../setup.ts'

const directives: Directives = Object.assign({}, ...PREFIXES.map(prefix => cacheDirectives(prefix)))

export const cache = httpModule({
  name: 'cache',
  directives,
  variables: cacheVariables,
  compile(_conf, at, http) {
    for (const prefix of PREFIXES) checkCacheName(prefix, at, http)
  },
  setup(conf, http) {
    for (const prefix of PREFIXES) {
      for (const path of conf[`${prefix}_cache_path`] as readonly CachePath[]) declare(prefix, path, http)
    }
  },
})

const folders = new RegistryKey<CachePath>('cache folder')

/** A folder is one cache's: another one would serve its files, and clear them away. */
function refuseShared(path: CachePath, http: HttpSetup): void {
  const { folder, site } = path
  const other = http.registry(folders).get(folder)
  if (other !== null) site.fail(`the same path name "${folder}" used in ${other.site.file}:${other.site.line} and`)
  http.registry(folders).set(folder, path)
}

function declare(prefix: string, path: CachePath, http: HttpSetup): void {
  const slot: CacheSlot = { zone: null }
  const caches = http.registry(CACHES)
  const name = `${prefix} ${path.zone}`
  if (caches.get(name) !== null) path.site.fail(`duplicate zone "${path.zone}"`)
  caches.set(name, slot)
  refuseShared(path, http)
  http.needsFolder(path.folder)
  // Another folder, or other levels, and what is known of the files is worth nothing.
  const key = `cache "${prefix} ${path.zone}" ${path.folder} ${path.levels.join(':')}`
  const bytes = CacheZone.bytesFor(path)
  // A table of another size is an empty one, and must not pass for one that knows its files.
  const numbers = `${key} numbers of ${bytes}`
  http.sharedMemory(key, bytes)
  http.sharedMemory(numbers, CacheZone.sharedBytes)
  let upkeep: Upkeep | null = null
  http.onStart(services => {
    slot.zone = new CacheZone(path, services.shared(key), services.shared(numbers))
    if (services.thread !== 0) return
    upkeep = new Upkeep(slot.zone, services.errorLog)
    upkeep.start()
  })
  http.onStop(() => upkeep?.stop())
}
