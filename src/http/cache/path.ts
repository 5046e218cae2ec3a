// `proxy_cache_path` and its relatives: where a cache is, and how big it may become.

import type { Directive, Site } from '../../config/directive.ts'
import { HTTP } from '../../config/directive.ts'
import { parseOffset, parseSeconds, parseSize, parseTime } from '../../config/units.ts'
import { claimZone } from '../../config/zone-names.ts'

export interface CachePath {
  readonly folder: string
  readonly levels: readonly number[]
  readonly zone: string
  /** Of the zone. */
  readonly bytes: number
  readonly usesTempPath: boolean
  /** Seconds. */
  readonly inactive: number
  readonly maxSize: number
  readonly minFree: number
  readonly loaderFiles: number
  readonly loaderSleep: number
  readonly loaderThreshold: number
  readonly managerFiles: number
  readonly managerSleep: number
  readonly managerThreshold: number
  readonly site: Site
}

type Writable = { -readonly [K in keyof CachePath]: CachePath[K] }

/** nginx's eight pages are not asked for here: its own suite has smaller ones. */
const ZONE_MIN = 8192

const PARAMETERS: Readonly<Record<string, (conf: Writable, value: string) => boolean>> = {
  levels: (conf, value) => {
    conf.levels = value.split(':').map(Number)
    return /^[12](?::[12]){0,2}$/.test(value)
  },
  use_temp_path: (conf, value) => {
    conf.usesTempPath = value === 'on'
    return value === 'on' || value === 'off'
  },
  keys_zone: (conf, value) => {
    const colon = value.indexOf(':')
    conf.zone = value.slice(0, colon)
    conf.bytes = parseSize(value.slice(colon + 1)) ?? 0
    return colon > 0 && conf.bytes >= ZONE_MIN
  },
  inactive: (conf, value) => take(parseSeconds(value), seconds => (conf.inactive = seconds)),
  max_size: (conf, value) => take(parseOffset(value), size => (conf.maxSize = size)),
  min_free: (conf, value) => take(parseOffset(value), size => (conf.minFree = size)),
  loader_files: (conf, value) => take(parseCount(value), n => (conf.loaderFiles = n)),
  loader_sleep: (conf, value) => take(parseTime(value), ms => (conf.loaderSleep = ms)),
  loader_threshold: (conf, value) => take(parseTime(value), ms => (conf.loaderThreshold = ms)),
  manager_files: (conf, value) => take(parseCount(value), n => (conf.managerFiles = n)),
  manager_sleep: (conf, value) => take(parseTime(value), ms => (conf.managerSleep = ms)),
  manager_threshold: (conf, value) => take(parseTime(value), ms => (conf.managerThreshold = ms)),
}

function take(value: number | null, set: (value: number) => void): boolean {
  if (value !== null) set(value)
  return value !== null
}

function parseCount(value: string): number | null {
  return /^\d{1,9}$/.test(value) ? Number(value) : null
}

/** In nginx's words, which name the whole word. */
function problemOf(name: string, word: string): string {
  if (name === 'levels') return `invalid "levels" "${word}"`
  if (name === 'use_temp_path') return `invalid use_temp_path value "${word}", it must be "on" or "off"`
  if (name !== 'keys_zone') return `invalid ${name} value "${word}"`
  return /:\d+[km]?$/i.test(word) ? `keys zone "${word}" is too small` : `invalid keys zone size "${word}"`
}

export const cachePathDirective: Directive<readonly CachePath[]> = {
  in: HTTP,
  args: [2, Infinity],
  default: [],
  repeatable: true,
  parse([folder, ...words], at, soFar = []) {
    const conf: Writable = {
      folder: at.prefixPath(folder!).replace(/\/+$/, ''),
      levels: [],
      zone: '',
      bytes: 0,
      usesTempPath: true,
      inactive: 600,
      maxSize: Infinity,
      minFree: 0,
      loaderFiles: 100,
      loaderSleep: 50,
      loaderThreshold: 200,
      managerFiles: 100,
      managerSleep: 50,
      managerThreshold: 200,
      site: at,
    }
    for (const word of words) {
      const equals = word.indexOf('=')
      const name = word.slice(0, Math.max(equals, 0))
      const set = PARAMETERS[name] ?? at.fail(`invalid parameter "${word}"`)
      const value = word.slice(equals + 1)
      if (!set(conf, value)) at.fail(problemOf(name, word))
    }
    if (conf.zone === '') at.fail(`"${at.name}" must have "keys_zone" parameter`)
    claimZone(at, conf.zone, conf.bytes)
    return [...soFar, conf]
  },
}
