// The tree as a program for the matcher (matcher.ts): a list of numbers, each operation followed by its operands.

import { fixedLength, minLength, type Assertion, type ByteSet, type Node, type Parsed, type Repeat } from './nodes.ts'

export const MATCH = 0
/** set */
export const SET = 1
/** set, min, max, greed: a repeated set, which is most of what is repeated. */
export const RUN = 2
/** first, second: tries the one, then the other. */
export const SPLIT = 3
export const JUMP = 4
/** register: notes the position. */
export const SAVE = 5
export const ASSERT = 6
/** register: a loop begins; the register counts, the one after it holds where the iteration began. */
export const LOOP_START = 7
/** register, min, max, greed, checked, exit: another iteration (at LOOP_ENTER, which follows) or on. */
export const LOOP = 8
export const LOOP_ENTER = 9
/** end: the body follows, up to its own MATCH; what it has found is not tried otherwise. */
export const ATOMIC = 10
/** negative, back, end: the body is tried at `back` bytes before. */
export const LOOK = 11
/** register, caseless */
export const REFERENCE = 12
/** register, otherwise: goes on if the group is set. */
export const IF_SET = 13
/** The match begins here after all. */
export const KEEP = 14

/** register, start: the group is what lies between the noted position and here. */
export const CLOSE = 15

export const GREEDY = 0
export const LAZY = 1
const POSSESSIVE = 2
const greeds = { greedy: GREEDY, lazy: LAZY, possessive: POSSESSIVE } as const

const assertionCodes: Readonly<Record<Assertion, number>> = {
  start: 0,
  end: 1,
  final: 2,
  'line-start': 3,
  'line-end': 4,
  word: 5,
  'not-word': 6,
}

const UNBOUNDED = -1

export interface Program {
  readonly code: Int32Array
  readonly sets: readonly ByteSet[]
  /** Captures first, two each with the whole match as number 0; then the loops' registers. */
  readonly registers: number
  readonly captures: number
  /** It can match at the start of the text only. */
  readonly anchored: boolean
  readonly names: ReadonlyMap<string, number>
}

export function compileProgram({ root, captures, names }: Parsed): Program {
  const compiler = new Compiler((captures + 1) * 2)
  compiler.node(root)
  compiler.code.push(MATCH)
  const { code, sets, registers } = compiler
  return { code: Int32Array.from(code), sets, registers, captures, anchored: isAnchored(root), names }
}

function isAnchored(node: Node): boolean {
  switch (node.kind) {
    case 'assertion':
      return node.at === 'start'
    case 'sequence':
      return node.items.length > 0 && isAnchored(node.items[0]!)
    case 'alternatives':
      return node.branches.every(isAnchored)
    case 'capture':
    case 'atomic':
      return isAnchored(node.body)
    default:
      return false
  }
}

class Compiler {
  readonly code: number[] = []
  readonly sets: ByteSet[] = []
  registers: number

  constructor(registers: number) {
    this.registers = registers
  }

  node(node: Node): void {
    const { code } = this
    switch (node.kind) {
      case 'set':
        code.push(SET, this.set(node.set))
        return
      case 'sequence':
        for (const item of node.items) this.node(item)
        return
      case 'alternatives':
        return this.alternatives(node.branches)
      case 'capture':
        // The group is set when it ends: until then a reference means what it matched before.
        return this.capture(node.number, node.body)
      case 'repeat':
        return this.repeat(node)
      case 'assertion':
        code.push(ASSERT, assertionCodes[node.at])
        return
      case 'atomic':
        return this.enclosed([ATOMIC], node.body)
      case 'look':
        return this.look(node)
      case 'reference':
        code.push(REFERENCE, node.number * 2, Number(node.caseless))
        return
      case 'conditional':
        return this.conditional(node.condition, node.yes, node.no)
      case 'keep':
        code.push(KEEP)
        return
    }
  }

  private set(set: ByteSet): number {
    const known = this.sets.indexOf(set)
    return known >= 0 ? known : this.sets.push(set) - 1
  }

  private alternatives(branches: readonly Node[]): void {
    const { code } = this
    const ends: number[] = []
    branches.forEach((branch, i) => {
      if (i === branches.length - 1) return this.node(branch)
      const split = code.push(SPLIT, code.length + 3, 0) - 1
      this.node(branch)
      ends.push(code.push(JUMP, 0) - 1)
      code[split] = code.length
    })
    for (const end of ends) code[end] = code.length
  }

  private capture(number: number, body: Node): void {
    const start = this.registers++
    this.code.push(SAVE, start)
    this.node(body)
    this.code.push(CLOSE, number * 2, start)
  }

  private repeat({ body, min, max, greed }: Repeat): void {
    const { code } = this
    const most = max === Infinity ? UNBOUNDED : max
    if (most === 0) return
    if (body.kind === 'set') {
      code.push(RUN, this.set(body.set), min, most, greeds[greed])
      return
    }
    if (greed === 'possessive') return this.enclosed([ATOMIC], { kind: 'repeat', body, min, max, greed: 'greedy' })
    if (min === 1 && max === 1) return this.node(body)
    const register = this.registers
    this.registers += 2
    code.push(LOOP_START, register)
    const loop = code.length
    // Only an endless loop over what may be empty must look whether it gets on.
    const exit = code.push(LOOP, register, min, most, greeds[greed], minLength(body) === 0 && most < 0 ? 1 : 0, 0) - 1
    code.push(LOOP_ENTER, register)
    this.node(body)
    code.push(JUMP, loop)
    code[exit] = code.length
  }

  /** A body that runs for itself up to its own MATCH; the operation's last operand is where to go on. */
  private enclosed(operation: readonly number[], body: Node): void {
    const { code } = this
    const end = code.push(...operation, 0) - 1
    this.node(body)
    code.push(MATCH)
    code[end] = code.length
  }

  private look(node: Extract<Node, { kind: 'look' }>): void {
    if (node.ahead) return this.enclosed([LOOK, Number(node.negative), 0], node.body)
    const branches = node.body.kind === 'alternatives' ? node.body.branches : [node.body]
    // Each branch has a length of its own.
    if (branches.length === 1) return this.behind(branches[0]!, node.negative)
    if (!node.negative)
      return this.enclosed([ATOMIC], { kind: 'alternatives', branches: branches.map(branch => behind(branch, false)) })
    for (const branch of branches) this.behind(branch, true)
  }

  private behind(body: Node, negative: boolean): void {
    this.enclosed([LOOK, Number(negative), fixedLength(body)], body)
  }

  private conditional(condition: number | Node, yes: Node, no: Node): void {
    const { code } = this
    if (typeof condition === 'number') {
      const otherwise = code.push(IF_SET, condition * 2, 0) - 1
      this.node(yes)
      const end = code.push(JUMP, 0) - 1
      code[otherwise] = code.length
      this.node(no)
      code[end] = code.length
      return
    }
    const look = condition as Extract<Node, { kind: 'look' }>
    this.alternatives([
      { kind: 'sequence', items: [look, yes] },
      { kind: 'sequence', items: [{ ...look, negative: !look.negative }, no] },
    ])
  }
}

function behind(body: Node, negative: boolean): Node {
  return { kind: 'look', ahead: false, negative, body }
}
