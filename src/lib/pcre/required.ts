// What a text must have to match a pattern at all, as far as it can be told at little cost: so that of hundreds of patterns
// only those are run that could match (http/server/locations.ts).
//
// A pair is two neighbouring bytes, without regard to case, as one of 32 bits. A text that lacks a pair of the pattern's
// cannot match it; one that has them all may, or not.

import type { ByteSet, Node } from './nodes.ts'

/** All pairs a text may have. */
export const ANY_PAIRS = -1

/** The pairs of a text, one bit for each. */
export function pairsOf(text: string): number {
  let pairs = 0
  let before = text.charCodeAt(0) | 32
  for (let i = 1; i < text.length; i++) {
    const byte = text.charCodeAt(i) | 32
    pairs |= 1 << pair(before, byte)
    before = byte
  }
  return pairs
}

/** The pairs that every match has. */
export function neededPairs(root: Node): number {
  needed = 0
  walk(root, UNKNOWN)
  return needed
}

function pair(first: number, second: number): number {
  return (first * 11 + second) & 31
}

const UNKNOWN = -1
let needed = 0

/** Adds what the node needs behind a byte; answers the byte it ends in, both without case and UNKNOWN where several may be. */
function walk(node: Node, before: number): number {
  switch (node.kind) {
    case 'set': {
      const byte = onlyByte(node.set)
      if (before !== UNKNOWN && byte !== UNKNOWN) needed |= 1 << pair(before, byte)
      return byte
    }
    case 'sequence':
      for (const item of node.items) before = walk(item, before)
      return before
    case 'capture':
    case 'atomic':
      return walk(node.body, before)
    case 'assertion':
      return before
    case 'repeat':
      if (node.min > 0) walk(node.body, before)
      return UNKNOWN
    default:
      return UNKNOWN
  }
}

/** The one byte of a set, or of both cases of a letter. */
function onlyByte(set: ByteSet): number {
  let only = UNKNOWN
  for (let byte = 0; byte < 256; byte++) {
    if (set[byte] === 0) continue
    if (only !== UNKNOWN && only !== (byte | 32)) return UNKNOWN
    only = byte | 32
  }
  return only
}

/** The bytes a match can end in, if it must reach the text's end (or a newline there); null: it need not, or any. */
export function lastBytes(node: Node): ByteSet | null {
  if (node.kind === 'alternatives') return union(node.branches.map(lastBytes))
  if (node.kind !== 'sequence') return null
  const last = node.items.at(-1)
  const isEnd = last !== undefined && last.kind === 'assertion' && (last.at === 'end' || last.at === 'final')
  return isEnd ? ending(node.items.at(-2)) : null
}

function ending(node: Node | undefined): ByteSet | null {
  switch (node?.kind) {
    case 'set':
      return node.set
    case 'sequence':
      return ending(node.items.at(-1))
    case 'alternatives':
      return union(node.branches.map(ending))
    case 'capture':
    case 'atomic':
      return ending(node.body)
    case 'repeat':
      return node.min > 0 ? ending(node.body) : null
    default:
      return null
  }
}

function union(sets: readonly (ByteSet | null)[]): ByteSet | null {
  const all = new Uint8Array(256)
  for (const set of sets) {
    if (set === null) return null
    for (let byte = 0; byte < 256; byte++) all[byte]! |= set[byte]!
  }
  return all
}
