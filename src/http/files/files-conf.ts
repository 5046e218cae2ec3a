// What all modules that look at files have in common: open_file_cache and its relatives, turned into the FileFinder a
// location uses, and log_not_found.

import { HTTP, LOCATION, SERVER, type Conf, type Directive } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseNumber, parseSeconds } from '../../config/units.ts'
import { accepted, flag, number, seconds } from '../../config/values.ts'
import { KeptFiles } from './kept-files.ts'
import type { LocationBuilder } from '../module.ts'
import { CachedFiles, guardedFiles, OpenFileCache, type CacheLimits, type FileFinder } from './open-file-cache.ts'
import type { HttpSetup } from '../setup.ts'
import { FOLLOW, LinkGuard, NO_LINKS, SAME_OWNER } from './symlinks.ts'

const everywhere = HTTP | SERVER | LOCATION
const DEFAULT_INACTIVE_MS = 60_000

/** null: off. */
const openFileCache: Directive<CacheLimits | null> = {
  in: everywhere,
  args: [1, 2],
  default: null,
  parse(args, at) {
    let max = 0
    let inactiveMs = DEFAULT_INACTIVE_MS
    let isOff = false
    for (const arg of args) {
      const refuse = (): never => at.fail(`invalid "open_file_cache" parameter "${arg}"`)
      if (arg === 'off') isOff = true
      else if (arg.startsWith('max=')) max = parseNumber(arg.slice(4)) || refuse()
      else if (arg.startsWith('inactive=')) inactiveMs = (parseSeconds(arg.slice(9)) ?? refuse()) * 1000
      else refuse()
    }
    if (isOff) return null
    if (max === 0) at.fail('"open_file_cache" must have the "max" parameter')
    return Object.freeze({ max, inactiveMs })
  },
}

interface DisableSymlinks {
  readonly rule: number
  readonly from: Template | null
}

const RULES: Readonly<Record<string, number>> = { off: FOLLOW, if_not_owner: SAME_OWNER, on: NO_LINKS }

const disableSymlinks: Directive<DisableSymlinks> = {
  in: everywhere,
  args: [1, 2],
  default: { rule: FOLLOW, from: null },
  parse(args, at) {
    let rule: number | null = null
    let from: Template | null = null
    for (const arg of args) {
      if (Object.hasOwn(RULES, arg)) rule = RULES[arg]!
      else if (arg.startsWith('from=')) from = Template.parse(arg.slice(5), at)
      else at.fail(`invalid parameter "${arg}"`)
    }
    if (rule === null) return at.fail(`"${at.name}" must have "off", "on" or "if_not_owner" parameter`)
    if (args.length === 2 && from === null) at.fail(`duplicate parameters "${args.join(' ')}"`)
    if (from !== null && rule === FOLLOW) at.fail('"from=" cannot be used with "off" parameter')
    return Object.freeze({ rule, from })
  },
}

export const fileDirectives = {
  disable_symlinks: disableSymlinks,
  open_file_cache: openFileCache,
  open_file_cache_valid: seconds(everywhere, 60),
  open_file_cache_min_uses: number(everywhere, 1),
  open_file_cache_errors: flag(everywhere, false),
  open_file_cache_events: accepted(flag(everywhere, false)),
  log_not_found: flag(everywhere, true),
}

const keptFiles = new KeptFiles()

// Who inherits a directive shares its cache: the value is the same object for all of them.
const caches = new WeakMap<CacheLimits, OpenFileCache>()

/** How the location opens files. */
export function fileFinder(at: LocationBuilder, http: HttpSetup): FileFinder {
  const conf: Conf<typeof fileDirectives> = at.scope.conf(fileDirectives)
  const limits = conf.open_file_cache
  const { rule, from } = conf.disable_symlinks
  if (limits === null && rule === FOLLOW) return keptFiles
  const guard = new LinkGuard(rule, from === null ? null : at.value(from))
  if (limits === null) return guardedFiles(guard)
  let cache = caches.get(limits)
  if (cache === undefined) {
    const made = new OpenFileCache(limits)
    http.onStop(() => made.clear())
    caches.set(limits, made)
    cache = made
  }
  const { open_file_cache_valid, open_file_cache_min_uses, open_file_cache_errors } = conf
  const validMs = open_file_cache_valid * 1000
  return new CachedFiles(cache, validMs, open_file_cache_min_uses, open_file_cache_errors, guard)
}
