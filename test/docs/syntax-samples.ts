// Examples of what a syntax in the directive reference allows: `NAME [zone=NAME:SIZE] [on | off]` makes `x`, and
// `x zone=x:64k on`, and `x zone=x:64k off`. `|` binds tighter than a blank; `[ ]` may be within a word.

/** What stands for words in capitals; the directive's own, if any, come first. */
export type Words = Readonly<Record<string, string>>

/** Everything with the least that must be written, with all that may be, and from there with each choice once. */
export function samplesOf(syntax: string, words: Words): string[] {
  const { node, end } = readSequence(syntax, 0)
  if (end !== syntax.length) throw new Error(`"${syntax}" cannot be read at ${end}`)
  const all = [node.least(), ...node.variants()]
  return [...new Set(all)].map(text => text.replace(/[A-Z][A-Z0-9]*/g, name => words[name] ?? name))
}

interface Node {
  least(): string
  /** The first has all that may be written. */
  variants(): string[]
}

interface Read {
  readonly node: Node
  readonly end: number
}

function text(value: string): Node {
  return { least: () => value, variants: () => [value] }
}

function optional(inner: Node): Node {
  return { least: () => '', variants: () => inner.variants() }
}

/** One after the other: the first variants of all, and each other variant among them. */
function joined(nodes: readonly Node[], separator: string): Node {
  const join = (parts: readonly string[]): string => parts.filter(part => part !== '').join(separator)
  return {
    least: () => join(nodes.map(node => node.least())),
    variants() {
      const lists = nodes.map(node => node.variants())
      const first = lists.map(list => list[0]!)
      const others = lists.flatMap((list, i) => list.slice(1).map(one => join(first.with(i, one))))
      return [join(first), ...others]
    },
  }
}

/** `ipv6=on | off` is `ipv6=on` or `ipv6=off`. */
function choice(nodes: readonly Node[]): Node {
  if (nodes.length === 1) return nodes[0]!
  const prefix = /^[a-z_0-9]*=/.exec(nodes[0]!.least())?.[0] ?? ''
  const complete = (word: string): string => (word.includes('=') ? word : prefix + word)
  return {
    least: () => nodes[0]!.least(),
    variants: () => nodes.flatMap((node, i) => (i === 0 ? node.variants() : node.variants().map(complete))),
  }
}

function readSequence(syntax: string, start: number): Read {
  const nodes: Node[] = []
  let at = start
  for (;;) {
    const { node, end } = readChoice(syntax, at)
    nodes.push(node)
    at = end
    if (syntax[at] !== ' ') return { node: joined(nodes, ' '), end: at }
    at++
  }
}

function readChoice(syntax: string, start: number): Read {
  const nodes: Node[] = []
  let at = start
  for (;;) {
    const { node, end } = readWord(syntax, at)
    nodes.push(node)
    at = syntax.startsWith(' …', end) ? end + 2 : end
    if (!syntax.startsWith(' | ', at)) return { node: choice(nodes), end: at }
    at += 3
  }
}

function readWord(syntax: string, start: number): Read {
  const nodes: Node[] = []
  let at = start
  while (at < syntax.length && syntax[at] !== ' ' && syntax[at] !== ']') {
    if (syntax[at] === '[') {
      const { node, end } = readSequence(syntax, at + 1)
      nodes.push(optional(node))
      at = end + 1
      continue
    }
    const end = at + /^[^ [\]]*/.exec(syntax.slice(at))![0].length
    nodes.push(text(syntax.slice(at, end)))
    at = end
  }
  return { node: joined(nodes, ''), end: at }
}
