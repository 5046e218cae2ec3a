// The groups of a pattern that capture, by number and by name, and what refers to them. A reference may point forward: which group it
// means is known when all of the pattern has been read.

import type { Cursor } from './class.ts'
import type { Node } from './nodes.ts'

const CAPTURES_MAX = 65535

interface Reference {
  readonly target: string | number
  readonly offset: number
  readonly resolve: (number: number) => void
}

export class Groups {
  /** The highest number so far; branches of `(?|` set it back. */
  count = 0
  readonly names = new Map<string, number>()
  private readonly cursor: Cursor
  private readonly references: Reference[] = []

  constructor(cursor: Cursor) {
    this.cursor = cursor
  }

  /** The next group's number. */
  open(name: string | null): number {
    const number = ++this.count
    if (number > CAPTURES_MAX) this.cursor.fail('too many capturing groups')
    if (name !== null) {
      const known = this.names.get(name)
      if (known !== undefined && known !== number) {
        this.cursor.fail('two named subpatterns have the same name (PCRE2_DUPNAMES not set)')
      }
      this.names.set(name, number)
    }
    return number
  }

  /** @param resolve is told the group's number in the end */
  refer(target: string | number, offset: number, resolve: (number: number) => void): void {
    this.references.push({ target, offset, resolve })
  }

  /** A reference that matches what its group has matched. */
  reference(target: string | number, offset: number, caseless: boolean): Node {
    const node = { kind: 'reference' as const, number: 0, caseless }
    this.refer(target, offset, number => void (node.number = number))
    return node
  }

  /** `+1` and `-2` count from here. */
  relative(digits: string): number {
    const value = Number(digits)
    return digits.startsWith('+') ? this.count + value : value < 0 ? this.count + 1 + value : value
  }

  /** All has been read. */
  resolve(): void {
    for (const { target, offset, resolve } of this.references) {
      const number = typeof target === 'number' ? target : this.names.get(target)
      if (number !== undefined && number >= 1 && number <= this.count) resolve(number)
      else this.cursor.fail('reference to non-existent subpattern', offset)
    }
  }
}
