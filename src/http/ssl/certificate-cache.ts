// ssl_certificate_cache: files that variables have led to, so that a handshake need not read them (ngx_event_openssl_cache.c).

import { statSync } from 'node:fs'
import { readDataFile, type DataFile } from '../../config/source.ts'
import type { CertificateCacheConf } from './directives.ts'

interface Entry {
  file: DataFile
  /** Seconds: when it was last found to be as it is, and when it was last asked for. */
  checked: number
  accessed: number
  /** Which file it was, and its time. */
  identity: string
}

/** One for each directive. */
const caches = new WeakMap<CertificateCacheConf, CertificateCache>()

export class CertificateCache {
  private readonly conf: CertificateCacheConf
  /** The least recently used first. */
  private readonly entries = new Map<string, Entry>()

  static of(conf: CertificateCacheConf): CertificateCache {
    let cache = caches.get(conf)
    if (cache === undefined) {
      cache = new CertificateCache(conf)
      caches.set(conf, cache)
    }
    return cache
  }

  private constructor(conf: CertificateCacheConf) {
    this.conf = conf
  }

  read(path: string): DataFile {
    const now = Math.floor(Date.now() / 1000)
    const { entries, conf } = this
    const known = entries.get(path)
    if (known === undefined) return this.add(path, now)
    entries.delete(path)
    if ((now - known.checked) * 1000 > conf.valid) {
      const identity = identityOf(path)
      if (identity !== known.identity || identity === '') known.file = readDataFile(path)
      if (known.file.error !== '') return known.file
      known.identity = identity
      known.checked = now
    }
    known.accessed = now
    entries.set(path, known)
    return known.file
  }

  private add(path: string, now: number): DataFile {
    const file = readDataFile(path)
    if (file.error !== '') return file
    this.expire(now, false)
    if (this.entries.size >= this.conf.max) this.expire(now, true)
    this.entries.set(path, { file, checked: now, accessed: now, identity: identityOf(path) })
    return file
  }

  /** Two that were not asked for lately go; `forced`: one goes in any case. */
  private expire(now: number, forced: boolean): void {
    let left = forced ? 3 : 2
    let must = forced
    for (const [path, { accessed }] of this.entries) {
      if (left-- === 0 || (!must && (now - accessed) * 1000 <= this.conf.inactive)) return
      must = false
      this.entries.delete(path)
    }
  }
}

function identityOf(path: string): string {
  const stat = statSync(Buffer.from(path, 'latin1'), { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${Math.floor(stat.mtimeMs / 1000)}`
}
