// `*`, `+?`, `{2,5}+`: how often an item may stand in a row, and how many of them it takes.

import type { Cursor } from './class.ts'
import { empty, type Node } from './nodes.ts'

const REPEAT_MAX = 65535
const quantifier = /^(?:[*+?]|\{([0-9]+)(,([0-9]*))?\})/
/** Two numbers of as many digits as anybody would write. */
const QUANTIFIER_LENGTH_MAX = 64

/** Is one next? Refused where nothing is `repeatable`. */
export function isQuantifier(cursor: Cursor, repeatable: boolean): boolean {
  const found = quantifier.exec(cursor.text.slice(cursor.at, cursor.at + QUANTIFIER_LENGTH_MAX))
  if (found === null) return false
  if (!repeatable) {
    cursor.fail('quantifier does not follow a repeatable item', cursor.at + found[0].length - 1)
  }
  return true
}

/** Does `text` begin with one? */
export function beginsQuantifier(text: string): boolean {
  return quantifier.test(text)
}

/** What is next repeats `body`. */
export function quantified(cursor: Cursor, body: Node, ungreedy: boolean): Node {
  const [min, max] = bounds(cursor)
  const greed = cursor.skip('+') ? 'possessive' : cursor.skip('?') !== ungreedy ? 'lazy' : 'greedy'
  // An assertion repeated is the assertion, or nothing.
  if (body.kind === 'look') return max === 0 ? empty : { kind: 'repeat', body, min: Math.min(min, 1), max: 1, greed }
  return { kind: 'repeat', body, min, max, greed }
}

function bounds(cursor: Cursor): readonly [min: number, max: number] {
  if (cursor.skip('*')) return [0, Infinity]
  if (cursor.skip('+')) return [1, Infinity]
  if (cursor.skip('?')) return [0, 1]
  const [text, low, comma, high] = quantifier.exec(cursor.text.slice(cursor.at))!
  const min = count(cursor, low!, cursor.at + 1)
  const max = comma === undefined ? min : high === '' ? Infinity : count(cursor, high!, cursor.at + low!.length + 2)
  cursor.at += text.length
  if (max < min) cursor.fail('numbers out of order in {} quantifier', cursor.at - 1)
  return [min, max]
}

function count(cursor: Cursor, digits: string, offset: number): number {
  const count = Number(digits)
  if (count > REPEAT_MAX) cursor.fail('number too big in {} quantifier', offset + 5)
  return count
}
