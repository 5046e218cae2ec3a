// Finds several texts in a stream of pieces and replaces them: at each place the first one in the order given, ASCII letters
// in either case. What might be the beginning of one waits for the next piece.

/** Texts to be found, by their numbers; empty ones are never found. */
export class Pattern {
  readonly texts: readonly string[]
  /** By the numbers of those that are left, `0,2,3`. */
  private readonly expressions = new Map<string, RegExp>()

  constructor(texts: readonly string[]) {
    this.texts = texts.map(lowerCase)
  }

  get isEmpty(): boolean {
    return this.texts.every(text => text === '')
  }

  /** Of these texts; the number of the group that matched is the place in `left`. */
  expression(left: readonly number[]): RegExp {
    const key = left.join()
    let expression = this.expressions.get(key)
    if (expression === undefined) {
      expression = new RegExp(left.map(i => `(${anyCase(this.texts[i]!)})`).join('|'), 'g')
      // As many as there are ways to use up the patterns; a few are all that happens.
      if (this.expressions.size < EXPRESSIONS_MAX) this.expressions.set(key, expression)
    }
    return expression
  }
}

const EXPRESSIONS_MAX = 64

/** Only ASCII has cases: the text may be in any charset. */
function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, letters => letters.toLowerCase())
}

function anyCase(text: string): string {
  let source = ''
  for (const character of text) {
    if (/[a-z]/.test(character)) source += `[${character}${character.toUpperCase()}]`
    else source += `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  }
  return source
}

interface Beginning {
  readonly at: number
  readonly place: number
}

const NOWHERE: Beginning = { at: Infinity, place: Infinity }

export class Replacer {
  private readonly pattern: Pattern
  private readonly replacementOf: (index: number) => string
  private readonly once: boolean
  /** Replacements are made at their first use, and stay the same for the whole body. */
  private readonly replacements: (string | null)[]
  private left: number[]
  private held = ''

  /** `once`: each text is replaced where it comes first, and only there. */
  constructor(pattern: Pattern, replacementOf: (index: number) => string, once: boolean) {
    this.pattern = pattern
    this.replacementOf = replacementOf
    this.once = once
    this.replacements = pattern.texts.map(() => null)
    this.left = [...pattern.texts.keys()].filter(i => pattern.texts[i] !== '')
  }

  /** Is there nothing left to be found? */
  get isIdle(): boolean {
    return this.left.length === 0 && this.held === ''
  }

  /** The next piece of text, as far as it can be told; all of it when it is the last. */
  replace(piece: string, isLast: boolean): string {
    const text = this.held === '' ? piece : this.held + piece
    this.held = ''
    let from = 0
    let replaced = ''
    let begun = isLast ? NOWHERE : this.beginning(text, 0)
    while (this.left.length > 0) {
      const expression = this.pattern.expression(this.left)
      expression.lastIndex = from
      const match = expression.exec(text)
      const place = match === null ? -1 : match.findIndex((group, i) => i > 0 && group !== undefined) - 1
      if (match === null || begun.at < match.index || (begun.at === match.index && begun.place < place)) break
      replaced += text.slice(from, match.index) + this.replacement(this.left[place]!)
      from = match.index + match[0].length
      if (this.once) this.left.splice(place, 1)
      if (!isLast && (this.once || begun.at < from)) begun = this.beginning(text, from)
    }
    if (begun === NOWHERE) return replaced + text.slice(from)
    this.held = text.slice(begun.at)
    return replaced + text.slice(from, begun.at)
  }

  /** Where the end of the piece might be the beginning of a text, and the place in `left` of the first such text. */
  private beginning(text: string, from: number): Beginning {
    let found = NOWHERE
    for (let i = 0; i < this.left.length; i++) {
      const at = partialAt(text, from, this.pattern.texts[this.left[i]!]!)
      if (at < found.at) found = { at, place: i }
    }
    return found
  }

  private replacement(index: number): string {
    return (this.replacements[index] ??= this.replacementOf(index))
  }
}

/** Where the longest end of `text` begins that `wanted` begins with and is longer than; Infinity: there is none. */
function partialAt(text: string, from: number, wanted: string): number {
  for (let at = Math.max(from, text.length - wanted.length + 1); at < text.length; at++) {
    if (wanted.startsWith(lowerCase(text.slice(at)))) return at
  }
  return Infinity
}
