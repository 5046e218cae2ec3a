// What a server's answer must be like to pass a health check: without `match`, 2xx or 3xx; else what its block says of the
// status, of fields and of the body (ngx_http_upstream_hc_module, as documented).

import type { Site, Statement } from '../../config/directive.ts'
import { regex } from '../regex.ts'
import type { Pattern } from '../regex.ts'

/** Bytes of a body that are looked at. */
export const BODY_MAX = 256 * 1024

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly names: readonly string[]
  readonly values: readonly string[]
  readonly body: string
}

/** A demand: answers what is wrong, '' for nothing. */
type Demand = (answer: Answer) => string

export class Match {
  readonly demands: readonly Demand[]
  readonly readsBody: boolean
  constructor(demands: readonly Demand[], readsBody: boolean) {
    this.demands = demands
    this.readsBody = readsBody
  }

  problemOf(answer: Answer): string {
    for (const demand of this.demands) {
      const problem = demand(answer)
      if (problem !== '') return problem
    }
    return ''
  }
}

export const USUAL = new Match([statusDemand(false, [[200, 399]])], false)

export function readMatch(lines: readonly Statement[], at: Site): Match {
  const demands = lines.map(line => {
    const words = line.words.map(word => word.text)
    const refuse = (problem: string): never => at.failAt(line, problem)
    if (line.block !== null) refuse(`unexpected "{"`)
    if (words.length === 0) refuse(`invalid number of arguments in "${line.name}" directive`)
    if (line.name === 'status') return readStatus(words, refuse)
    if (line.name === 'header') return readHeader(words, at, refuse)
    if (line.name === 'body') return readBody(words, at, refuse)
    return refuse(`unknown directive "${line.name}"`)
  })
  return new Match(
    demands,
    lines.some(line => line.name === 'body'),
  )
}

type Refuse = (problem: string) => never

function readStatus(words: readonly string[], refuse: Refuse): Demand {
  const not = words[0] === '!'
  const ranges = (not ? words.slice(1) : words).map(word => {
    const [, low, high] = /^(\d{3})(?:-(\d{3}))?$/.exec(word) ?? refuse(`invalid status "${word}"`)
    return [Number(low), Number(high ?? low)] as const
  })
  if (ranges.length === 0) refuse('invalid number of arguments in "status" directive')
  return statusDemand(not, ranges)
}

function statusDemand(not: boolean, ranges: readonly (readonly [number, number])[]): Demand {
  return ({ status }) =>
    ranges.some(([low, high]) => status >= low && status <= high) !== not ? '' : `unexpected status ${status}`
}

function readHeader(words: readonly string[], at: Site, refuse: Refuse): Demand {
  if (words[0] === '!') {
    const name = words.length === 2 ? words[1]!.toLowerCase() : refuse('invalid header')
    return answer => (valueOf(answer, name) === null ? '' : `header "${name}" is present`)
  }
  const name = words[0]!.toLowerCase()
  if (words.length === 1) return answer => (valueOf(answer, name) !== null ? '' : `header "${name}" is missing`)
  const test = words.length === 3 ? readTest(words[1]!, words[2]!, at, refuse) : refuse('invalid header')
  return answer => {
    const value = valueOf(answer, name)
    return test(value ?? '') ? '' : `header "${name}" is ${value === null ? 'missing' : `"${value}"`}`
  }
}

function valueOf({ names, values }: Answer, name: string): string | null {
  const at = names.indexOf(name)
  return at === -1 ? null : values[at]!
}

function readTest(operator: string, text: string, at: Site, refuse: Refuse): (value: string) => boolean {
  if (operator === '=') return value => value === text
  if (operator === '!=') return value => value !== text
  const pattern = readPattern(operator, text, at, refuse)
  return value => (pattern.exec(value) !== null) !== operator.startsWith('!')
}

function readPattern(operator: string, text: string, at: Site, refuse: Refuse): Pattern {
  if (!/^!?~\*?$/.test(operator)) refuse(`invalid operator "${operator}"`)
  return regex(text, operator.endsWith('*'), at)
}

function readBody(words: readonly string[], at: Site, refuse: Refuse): Demand {
  if (words.length !== 2) refuse('invalid number of arguments in "body" directive')
  const [operator, text] = words as [string, string]
  const pattern = readPattern(operator, text, at, refuse)
  const not = operator.startsWith('!')
  return ({ body }) => ((pattern.exec(body) !== null) !== not ? '' : 'the body does not match')
}
