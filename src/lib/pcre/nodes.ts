// A regular expression as a tree. Everything that takes one byte is a set of bytes: literals, classes, `.`, and caseless
// letters, which are sets of two. So neither engine needs to know of cases or classes.

/** Membership of each of the 256 bytes. */
export type ByteSet = Uint8Array

export type Node =
  | { readonly kind: 'set'; readonly set: ByteSet }
  | { readonly kind: 'sequence'; readonly items: readonly Node[] }
  | { readonly kind: 'alternatives'; readonly branches: readonly Node[] }
  | { readonly kind: 'capture'; readonly number: number; readonly name: string | null; readonly body: Node }
  | Repeat
  | { readonly kind: 'assertion'; readonly at: Assertion }
  | { readonly kind: 'look'; readonly ahead: boolean; readonly negative: boolean; readonly body: Node }
  | { readonly kind: 'atomic'; readonly body: Node }
  | { readonly kind: 'reference'; readonly number: number; readonly caseless: boolean }
  | { readonly kind: 'conditional'; readonly condition: number | Node; readonly yes: Node; readonly no: Node }
  | { readonly kind: 'keep' }

export interface Repeat {
  readonly kind: 'repeat'
  readonly body: Node
  readonly min: number
  /** Infinity: as often as it goes. */
  readonly max: number
  readonly greed: 'greedy' | 'lazy' | 'possessive'
}

/** `end` is the very end (`\z`), `final` also before a newline that ends the text (`$`, `\Z`). */
export type Assertion = 'start' | 'end' | 'final' | 'line-start' | 'line-end' | 'word' | 'not-word'

export interface Parsed {
  readonly root: Node
  readonly captures: number
  readonly names: ReadonlyMap<string, number>
  /** Groups share numbers (`(?|`): they are not simply counted from left to right. */
  readonly renumbers: boolean
}

/** A pattern that cannot be used: PCRE's message, and where in the pattern PCRE says it is. */
export class PatternError extends Error {
  readonly offset: number
  constructor(message: string, offset: number) {
    super(message)
    this.name = 'PatternError'
    this.offset = offset
  }
}

/** Fewest bytes a node can match. */
export function minLength(node: Node): number {
  switch (node.kind) {
    case 'set':
      return 1
    case 'sequence':
      return node.items.reduce((sum, item) => sum + minLength(item), 0)
    case 'alternatives':
      return Math.min(...node.branches.map(minLength))
    case 'capture':
    case 'atomic':
      return minLength(node.body)
    case 'repeat':
      return node.min * minLength(node.body)
    case 'conditional':
      return Math.min(minLength(node.yes), minLength(node.no))
    default:
      return 0
  }
}

/** The number of bytes a node always matches, or -1 when it varies. */
export function fixedLength(node: Node): number {
  switch (node.kind) {
    case 'set':
      return 1
    case 'sequence':
      return node.items.reduce((sum, item) => {
        const length = fixedLength(item)
        return sum < 0 || length < 0 ? -1 : sum + length
      }, 0)
    case 'alternatives':
      return same(node.branches.map(fixedLength))
    case 'capture':
    case 'atomic':
      return fixedLength(node.body)
    case 'repeat': {
      const length = fixedLength(node.body)
      return node.min === node.max && length >= 0 ? node.min * length : -1
    }
    case 'conditional':
      return same([fixedLength(node.yes), fixedLength(node.no)])
    case 'reference':
      return -1
    default:
      return 0
  }
}

function same(lengths: readonly number[]): number {
  return lengths.every(length => length === lengths[0]) ? lengths[0]! : -1
}

/** Matches nothing, everywhere. */
export const empty: Node = { kind: 'sequence', items: [] }
