// split_clients: a variable's values fall into parts of given sizes (ngx_http_split_clients_module).

import { HTTP, STREAM, type Site, type Statement } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { block } from '../../config/values.ts'
import { murmurHash2 } from '../../lib/murmur-hash.ts'
import { cachedVariable, variableName } from '../cached-variable.ts'
import { httpModule } from '../module.ts'

interface Part {
  /** Hashes below it are this part's; Infinity: all that are left. */
  readonly below: number
  readonly value: string
}

interface SplitDeclaration {
  readonly source: Template
  readonly name: string
  readonly parts: readonly Part[]
  readonly site: Site
}

const directives = {
  split_clients: block(HTTP | STREAM, [2, 2], 'data', parseSplit),
}

/** Percents are counted in hundredths. */
const WHOLE = 10000

function parseSplit([source, variable]: readonly string[], at: Site): SplitDeclaration {
  const template = Template.parse(source!, at)
  const name = variableName(variable!, at)
  const parts: Part[] = []
  let sum = 0
  let below = 0
  for (const line of at.lines) {
    const hundredths = parsePercent(line, at)
    sum = hundredths === 0 ? WHOLE : sum + hundredths
    if (sum > WHOLE) at.failAt(at.end, 'percent total is greater than 100%')
    const value = line.words[0]?.text ?? ''
    if (sum === WHOLE) parts.push({ below: Infinity, value })
    else {
      // The product may exceed 2^53, so that integers are divided as such.
      below += Number((BigInt(hundredths) * 0xffffffffn) / BigInt(WHOLE))
      parts.push({ below, value })
    }
  }
  return { source: template, name, parts, site: at }
}

/** Hundredths of a percent; 0 for `*`. */
function parsePercent(line: Statement, at: Site): number {
  if (line.name === '*') return 0
  const [, whole, fraction = ''] = /^([0-9]{1,7})(?:\.([0-9]{0,2}))?%$/.exec(line.name) ?? []
  const hundredths = whole === undefined ? 0 : Number(whole) * 100 + Number(fraction.padEnd(2, '0'))
  return hundredths > 0 ? hundredths : at.failAt(line, `invalid percent value "${line.name}"`)
}

export const splitClients = httpModule({
  name: 'split-clients',
  inStream: true,
  directives,
  setup(conf, http) {
    for (const { source, name, parts, site } of conf.split_clients) {
      const value = http.value(source)
      const variable = cachedVariable(r => partOf(murmurHash2(value.get(r)), parts))
      http.define(name, variable, site)
    }
  },
})

function partOf(hash: number, parts: readonly Part[]): string {
  for (const { below, value } of parts) if (hash < below) return value
  return ''
}
