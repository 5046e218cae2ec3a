// Is the browser a modern or an ancient one? (ngx_http_browser_module): by its name and version for those known by name,
// by any text in User-Agent for the others.

import { HTTP, LOCATION, SERVER, type Directive, type Site } from '../../config/directive.ts'
import { str } from '../../config/values.ts'
import { httpModule, LocationSlot } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { isMsie } from '../special-response.ts'

const everywhere = HTTP | SERVER | LOCATION

/** Where User-Agent tells a browser's version: `mark` from character `skip` on, and the number after it. */
interface Known {
  readonly name: string
  readonly skip: number
  readonly mark: string
  /** Characters from the mark's beginning to the number. */
  readonly add: number
}

// In the order they are asked: Opera says it is MSIE, too.
const KNOWN: readonly Known[] = [
  { name: 'opera', skip: 0, mark: 'Opera', add: 6 },
  { name: 'msie', skip: 'Mozilla/4.0 (compatible; '.length, mark: 'MSIE ', add: 5 },
  { name: 'gecko', skip: 'Mozilla/5.0 ('.length, mark: 'rv:', add: 3 },
  { name: 'safari', skip: 'Mozilla/5.0 ('.length, mark: 'Safari/', add: 7 },
  { name: 'konqueror', skip: 'Mozilla/5.0 (compatible; '.length, mark: 'Konqueror/', add: 10 },
]

const NEVER = 4_001_000_000

interface ModernBrowsers {
  readonly unlisted: boolean
  readonly versions: readonly { readonly known: Known; readonly version: number }[]
}

const modernBrowser: Directive<ModernBrowsers> = {
  in: everywhere,
  args: [1, 2],
  default: { unlisted: false, versions: [] },
  repeatable: true,
  parse([name, version], at, soFar = { unlisted: false, versions: [] }) {
    if (version === undefined) {
      if (name !== 'unlisted') at.fail('invalid number of arguments in "modern_browser" directive')
      return { ...soFar, unlisted: true }
    }
    const known = KNOWN.find(one => one.name === name!.toLowerCase()) ?? at.fail(`unknown browser name "${name}"`)
    return { ...soFar, versions: [...soFar.versions, { known, version: parseVersion(version, at) }] }
  },
}

/** `1.2.3` as 1020300: four parts, two digits each. */
function parseVersion(text: string, at: Site): number {
  if (!/^[0-9.]*$/.test(text)) at.fail(`invalid browser version "${text}"`)
  let version = 0
  let scale = 1_000_000
  for (const part of text.split('.')) {
    version += Number(part) * scale
    scale = Math.trunc(scale / 100)
  }
  return version
}

const ancientBrowser: Directive<readonly string[]> = {
  in: everywhere,
  args: [1, Infinity],
  default: [],
  repeatable: true,
  parse: (words, _at, soFar = []) => [...soFar, ...words],
}

const directives = {
  modern_browser: modernBrowser,
  ancient_browser: ancientBrowser,
  modern_browser_value: { ...str(everywhere, '1'), repeatable: true },
  ancient_browser_value: { ...str(everywhere, '1'), repeatable: true },
}

interface Browsers {
  readonly modern: ModernBrowsers
  readonly ancient: readonly string[]
  readonly netscape4: boolean
  readonly modernValue: string
  readonly ancientValue: string
}

const browsers = new LocationSlot<Browsers>()

export const browser = httpModule({
  name: 'browser',
  directives,
  variables: {
    modern_browser: { get: r => (isModern(r) ? (browsers.get(r)?.modernValue ?? '') : '') },
    ancient_browser: { get: r => (isModern(r) ? '' : (browsers.get(r)?.ancientValue ?? '1')) },
    msie: { get: r => (isMsie(r) ? '1' : '') },
  },
  compile(conf, at) {
    const { ancient_browser, modern_browser } = conf
    at.keep(browsers, {
      modern: { unlisted: modern_browser.unlisted, versions: inOrder(modern_browser.versions) },
      ancient: ancient_browser.filter(text => text !== 'netscape4'),
      netscape4: ancient_browser.includes('netscape4'),
      modernValue: conf.modern_browser_value,
      ancientValue: conf.ancient_browser_value,
    })
  },
})

/** An Opera nobody listed is none of the others. */
function inOrder(versions: ModernBrowsers['versions']): ModernBrowsers['versions'] {
  if (versions.length === 0) return versions
  const opera = KNOWN[0]!
  const all = versions.some(({ known }) => known === opera) ? versions : [...versions, { known: opera, version: NEVER }]
  return all.toSorted((a, b) => KNOWN.indexOf(a.known) - KNOWN.indexOf(b.known))
}

function isModern(r: HttpRequest): boolean {
  const conf = browsers.get(r)
  if (conf === null) return false
  const { modern, ancient, netscape4 } = conf
  const agent = r.header('user-agent')
  if (agent === null) return modern.unlisted
  for (const { known, version } of modern.versions) {
    const at = agent.indexOf(known.mark, known.skip)
    if (at < 0 || at + known.add >= agent.length) continue
    return versionAt(agent, at + known.add) >= version
  }
  if (modern.versions.length > 0 && !modern.unlisted) return false
  if (netscape4 && agent.length > 'Mozilla/4.72 '.length && /^Mozilla\/[1-4]/.test(agent)) return false
  for (const text of ancient) if (agent.includes(text)) return false
  return modern.unlisted
}

/** The number that begins there, as parseVersion() counts. */
function versionAt(agent: string, at: number): number {
  let version = 0
  let part = 0
  let scale = 1_000_000
  for (let i = at; i < agent.length; i++) {
    const c = agent.charCodeAt(i)
    if (c >= 48 && c <= 57) part = part * 10 + (c - 48)
    else if (c === 46) {
      version += part * scale
      part = 0
      scale = Math.trunc(scale / 100)
    } else break
  }
  return version + part * scale
}
