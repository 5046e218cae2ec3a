// The tree as source for V8's RegExp, where both languages mean the same by it; null where they do not:
//
// - an iteration that matches nothing ends PCRE's loops and is rejected by JavaScript's;
// - JavaScript forgets captures at every iteration, PCRE keeps them: a capture that an iteration may pass by;
// - what JavaScript has not (atomic groups, conditionals, \K), or means otherwise (references to unset groups).

import { minLength, type ByteSet, type Node, type Repeat } from './nodes.ts'

/** Source without flags. `$` stands for `\z` too: who has a text that ends in a newline must match otherwise. */
export function emit(node: Node): string | null {
  switch (node.kind) {
    case 'set':
      return setSource(node.set)
    case 'sequence':
      return joined(node.items, '', item => (item.kind === 'alternatives' ? grouped(emit(item)) : emit(item)))
    case 'alternatives':
      return joined(node.branches, '|', emit)
    case 'capture': {
      const body = emit(node.body)
      return body === null ? null : node.name === null ? `(${body})` : `(?<${node.name}>${body})`
    }
    case 'repeat':
      return repeatSource(node)
    case 'assertion':
      return assertions[node.at] ?? null
    default:
      return null
  }
}

const assertions: Readonly<Record<string, string>> = {
  start: '^',
  end: '$',
  final: '$',
  word: '\\b',
  'not-word': '\\B',
}

function joined(nodes: readonly Node[], separator: string, source: (node: Node) => string | null): string | null {
  const sources = nodes.map(source)
  return sources.includes(null) ? null : sources.join(separator)
}

function grouped(source: string | null): string | null {
  return source === null ? null : `(?:${source})`
}

function repeatSource(node: Repeat): string | null {
  const { body, min, max, greed } = node
  if (greed === 'possessive' || minLength(body) === 0 || (max > 1 && mayPassCapture(body, false))) return null
  const source = body.kind === 'set' || body.kind === 'capture' ? emit(body) : grouped(emit(body))
  if (source === null) return null
  return source + quantifier(min, max) + (greed === 'lazy' ? '?' : '')
}

function quantifier(min: number, max: number): string {
  if (max === Infinity) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`
  if (min === 0 && max === 1) return '?'
  return min === max ? `{${min}}` : `{${min},${max}}`
}

/** Is there a capture that a way through the node may leave out? */
function mayPassCapture(node: Node, optional: boolean): boolean {
  switch (node.kind) {
    case 'capture':
      return optional || mayPassCapture(node.body, optional)
    case 'sequence':
      return node.items.some(item => mayPassCapture(item, optional))
    case 'alternatives':
      return node.branches.some(branch => mayPassCapture(branch, true))
    case 'repeat':
      return mayPassCapture(node.body, optional || node.min === 0)
    default:
      return false
  }
}

function setSource(set: ByteSet): string {
  const ranges: string[] = []
  let members = 0
  for (let from = 0; from < 256; from++) {
    if (set[from] === 0) continue
    let to = from
    while (to < 255 && set[to + 1] === 1) to++
    members += to - from + 1
    ranges.push(to === from ? byteSource(from) : `${byteSource(from)}-${byteSource(to)}`)
    from = to
  }
  if (members === 256) return '[^]'
  return members === 1 ? ranges[0]! : `[${ranges.join('')}]`
}

function byteSource(byte: number): string {
  const character = String.fromCharCode(byte)
  return /[A-Za-z0-9/_]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`
}
