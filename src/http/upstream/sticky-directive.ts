// Reads `sticky cookie …`, `sticky route …` and `sticky learn …` (see sticky.ts).

import type { Directive, Site } from '../../config/directive.ts'
import { UPSTREAM } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSeconds, parseSize, parseTime } from '../../config/units.ts'
import { claimZone } from '../../config/zone-names.ts'
import type { Sticky } from '../../upstream/group.ts'
import { RegistryKey } from '../setup.ts'
import type { HttpSetup } from '../setup.ts'
import { isSameSite, StickyCookie, StickyLearn, StickyRoute } from './sticky.ts'
import type { Source } from './sticky.ts'

/** Makes it once the http block is known. */
export type StickyMaker = (http: HttpSetup, group: string) => Sticky

/** Pages of nginx's, as for all zones. */
const ZONE_MIN = 8 * 4096
const LEARN_TIMEOUT_MS = 600_000

export function stickyDirective(): Directive<StickyMaker | null> {
  return {
    in: UPSTREAM,
    args: [2, Infinity],
    default: null,
    parse([kind, ...words], at) {
      if (kind === 'cookie') return readCookie(words, at)
      if (kind === 'route') return readRoute(words, at)
      if (kind === 'learn') return readLearn(words, at)
      return at.fail(`unknown parameter "${kind}"`)
    },
  }
}

function readRoute(words: readonly string[], at: Site): StickyMaker {
  const templates = words.map(word =>
    word.startsWith('$') ? Template.parse(word, at) : at.fail(`invalid variable name "${word}"`),
  )
  return http => new StickyRoute(templates.map(template => sourceOf(template, http)))
}

function sourceOf(template: Template, http: HttpSetup): Source {
  const value = http.value(template)
  return r => value.get(r)
}

export function readCookie([name, ...parameters]: readonly string[], at: Site): StickyMaker {
  const given = new Map<string, string>()
  if (name === '') at.fail('"sticky" directive empty cookie name')
  for (const word of parameters) {
    const [key, value] = word.split(/=(.*)/s) as [string, string?]
    const isFlag = key === 'httponly' || key === 'secure'
    const known = isFlag ? value === undefined : cookieParameters.has(key) && value !== undefined
    if (!known) at.fail(`unknown parameter "${word}"`)
    if (given.has(key)) at.fail(`"sticky" directive parameter "${key}" is duplicate`)
    if (value === '' && (key === 'domain' || key === 'path')) at.fail(`"sticky" directive no value for "${key}"`)
    given.set(key, value ?? '')
  }
  const template = (key: string): Template | null => {
    const text = given.get(key)
    return text === undefined ? null : Template.parse(text, at)
  }
  const domain = template('domain')
  const samesite = template('samesite')
  if (samesite !== null && samesite.constant !== null && !isSameSite(samesite.constant)) {
    at.fail('"sticky" directive invalid "samesite" parameter value')
  }
  const expires = readExpires(given.get('expires'), at)
  return http => {
    const variable = http.variable(`cookie_${name!.toLowerCase()}`, at)
    return new StickyCookie({
      name: name!,
      read: r => variable.get(r) ?? '',
      expires,
      domain: domain === null ? null : http.value(domain),
      httponly: given.has('httponly'),
      secure: given.has('secure'),
      samesite: samesite === null ? null : http.value(samesite),
      path: given.get('path') ?? '',
    })
  }
}

const cookieParameters: ReadonlySet<string> = new Set(['domain', 'path', 'expires', 'samesite'])

function readExpires(text: string | undefined, at: Site): number | null {
  if (text === undefined) return null
  if (text === 'max') return Infinity
  return parseSeconds(text) ?? at.fail('"sticky" directive invalid "expires" parameter value')
}

/** So that one zone is not used twice. */
const zonesKey = new RegistryKey<string>('sticky zone')

export function readLearn(words: readonly string[], at: Site): StickyMaker {
  const create: Template[] = []
  const lookup: Template[] = []
  let zone: { name: string; bytes: number } | null = null
  let timeoutMs: number | null = null
  let atHeader = false
  for (const word of words) {
    const [key, value] = word.split(/=(.*)/s) as [string, string?]
    if (key === 'header' && value === undefined) atHeader = true
    else if (key === 'zone' && value !== undefined) {
      if (zone !== null) at.fail('"sticky" directive duplicate zone')
      zone = readZone(value, at)
    } else if (key === 'timeout' && value !== undefined) {
      if (timeoutMs !== null) at.fail('"sticky" directive duplicate timeout')
      timeoutMs = parseTime(value) || at.fail('"sticky" directive invalid timeout')
    } else if ((key === 'create' || key === 'lookup') && value !== undefined) {
      if (!value.startsWith('$')) at.fail(`"sticky" directive missing variable in the "${key}" parameter`)
      const variables = key === 'create' ? create : lookup
      variables.push(Template.parse(value, at))
    } else at.fail(`unknown parameter "${word}"`)
  }
  if (lookup.length === 0) at.fail('"sticky" directive "lookup" parameter is not specified')
  if (create.length === 0) at.fail('"sticky" directive "create" parameter is not specified')
  if (zone === null) return at.fail('"sticky" directive "zone" parameter is not specified')
  const { name, bytes } = zone
  claimZone(at, name, bytes)
  return (http, group) => {
    const zones = http.registry(zonesKey)
    const user = zones.get(name)
    if (user !== null) at.fail(`sticky zone "${name}" is already used in upstream "${user}"`)
    zones.set(name, group)
    const sticky = new StickyLearn({
      create: create.map(template => sourceOf(template, http)),
      lookup: lookup.map(template => sourceOf(template, http)),
      zone: name,
      timeoutMs: timeoutMs ?? LEARN_TIMEOUT_MS,
      atHeader,
    })
    const memory = `sticky ${name} ${group}`
    http.sharedMemory(memory, bytes)
    http.onStart(services => sticky.share(services.shared(memory)))
    return sticky
  }
}

function readZone(text: string, at: Site): { name: string; bytes: number } {
  const colon = text.indexOf(':')
  if (colon === -1) at.fail('"sticky" directive zone size is not specified')
  if (colon === 0) at.fail('"sticky" directive zone name is not specified')
  const bytes = parseSize(text.slice(colon + 1)) ?? at.fail('"sticky" directive invalid zone size')
  if (bytes < ZONE_MIN) at.fail('"sticky" directive zone is too small')
  return { name: text.slice(0, colon), bytes }
}
