// map: a variable whose value is looked up by another's (ngx_http_map_module).

import { HTTP, STREAM, type Site, type Statement } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { accepted, block, number } from '../../config/values.ts'
import { HostTable } from '../../lib/host-table.ts'
import { cachedVariable, variableName } from '../cached-variable.ts'
import { httpModule, type Value, type Variable } from '../module.ts'
import { DECLINED, defineCaptures, execute, MATCHED, regex, type Pattern } from '../regex.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup } from '../setup.ts'

interface MapPattern {
  readonly pattern: Pattern
  readonly result: Template
}

interface MapDeclaration {
  readonly source: Template
  readonly name: string
  readonly hosts: boolean
  readonly volatile: boolean
  readonly fallback: Template | null
  /** Indexes into `results`. */
  readonly table: HostTable<number>
  readonly results: readonly Template[]
  readonly patterns: readonly MapPattern[]
  readonly site: Site
}

const directives = {
  map: block(HTTP | STREAM, [2, 2], 'data', parseMap),
  map_hash_max_size: accepted(number(HTTP | STREAM, 2048)),
  map_hash_bucket_size: accepted(number(HTTP | STREAM, 64)),
}

class MapReader {
  hosts = false
  volatile = false
  fallback: Template | null = null
  readonly table = new HostTable<number>()
  readonly results: Template[] = []
  readonly patterns: MapPattern[] = []
  /** Results by their text: big maps have few. */
  private readonly known = new Map<string, number>()
  private readonly at: Site

  constructor(at: Site) {
    this.at = at
  }

  line(line: Statement): void {
    const { name, words } = line
    if (words.length === 0 && name === 'hostnames') this.hosts = true
    else if (words.length === 0 && name === 'volatile') this.volatile = true
    else if (words.length !== 1) this.at.failAt(line, 'invalid number of the map parameters')
    else this.entry(line, name, words[0]!.text)
  }

  private entry(line: Statement, key: string, text: string): void {
    if (key === 'default') {
      if (this.fallback !== null) this.at.failAt(line, 'duplicate default map parameter')
      this.fallback = Template.parse(text, line)
    } else if (key.startsWith('~')) {
      const caseless = key.startsWith('~*')
      this.patterns.push({
        pattern: regex(key.slice(caseless ? 2 : 1), caseless, this.at),
        result: Template.parse(text, line),
      })
    } else this.add(line, key.startsWith('\\') ? key.slice(1) : key, this.resultOf(text, line))
  }

  private add(line: Statement, key: string, result: number): void {
    if (this.hosts) {
      const wrong = this.table.add(key, result)
      if (wrong !== null) this.at.failAt(line, wrong)
    } else if (!this.table.addExact(key, result)) this.at.failAt(line, `conflicting parameter "${key}"`)
  }

  private resultOf(text: string, line: Statement): number {
    let index = this.known.get(text)
    if (index === undefined) {
      index = this.results.push(Template.parse(text, line)) - 1
      this.known.set(text, index)
    }
    return index
  }
}

function parseMap([source, variable]: readonly string[], at: Site): MapDeclaration {
  const template = Template.parse(source!, at)
  const name = variableName(variable!, at)
  const reader = new MapReader(at)
  for (const line of at.lines) reader.line(line)
  const { hosts, volatile, fallback, table, results, patterns } = reader
  return { source: template, name, hosts, volatile, fallback, table, results, patterns, site: at }
}

export const map = httpModule({
  name: 'map',
  inStream: true,
  directives,
  setup(conf, http) {
    for (const declared of conf.map) {
      for (const { pattern } of declared.patterns) defineCaptures(pattern, declared.site, http)
      http.define(declared.name, compileMap(declared, http), declared.site)
    }
  },
})

function compileMap(declared: MapDeclaration, http: HttpSetup): Variable {
  const { table, hosts } = declared
  const source = http.value(declared.source)
  const fallback = declared.fallback === null ? null : http.value(declared.fallback)
  const results = declared.results.map(result => http.value(result))
  const patterns = declared.patterns.map(({ pattern, result }) => ({ pattern, value: http.value(result) }))
  const get = (r: HttpRequest): string => {
    let key = source.get(r)
    if (hosts && key.endsWith('.')) key = key.slice(0, -1)
    const index = table.find(key.toLowerCase())
    const value = index === undefined ? matching(r, key, patterns) : results[index]!
    return (value ?? fallback)?.get(r) ?? ''
  }
  return declared.volatile ? { get } : cachedVariable(get)
}

/** The first regular expression that matches leaves its captures behind. Behind one that gives up none is asked. */
function matching(
  r: HttpRequest,
  key: string,
  patterns: readonly { readonly pattern: Pattern; readonly value: Value }[],
): Value | null {
  if (key === '') return null
  for (let i = 0; i < patterns.length; i++) {
    const answer = execute(r, patterns[i]!.pattern, key)
    if (answer !== DECLINED) return answer === MATCHED ? patterns[i]!.value : null
  }
  return null
}
