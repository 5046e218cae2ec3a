// Runs a program over a text by backtracking, as PCRE does, with a limit to it, as PCRE has. This is the engine for what
// V8 cannot run, or means otherwise; most patterns never come here.
//
// Everything to be undone lies on one stack in threes: a choice not yet tried (where in the program, where in the text,
// CHOICE), a register's former value (register, value, FORMER), or a run of a set that may give back a byte.

import { wordBytes } from './byte-sets.ts'
import * as op from './program.ts'
import type { ByteSet } from './nodes.ts'
import type { Program } from './program.ts'

/** Times something is tried anew before the matcher gives up: tens of milliseconds. PCRE's own limit is ten times that. */
const TRIES_MAX = 1_000_000
/** Numbers on the stack. */
const STACK_MAX = 3_000_000

const CHOICE = -1
const FORMER = -2
/** A run that took as much as it could: position, its least end, where to go on. */
const SHRINKING = -3
/** A run that took as little as it could: position, bytes it may take yet, where its operation stands. */
const GROWING = -4

let stack = new Int32Array(3 * 1024)
let top = 0
let tries = 0

export class Matcher {
  /** The last text was too much for it: whether it matches is not known. */
  exceeded = false
  private readonly program: Program
  private readonly code: Int32Array
  private readonly registers: Int32Array
  private text = ''
  private keptStart = -1

  constructor(program: Program) {
    this.program = program
    this.code = program.code
    this.registers = new Int32Array(program.registers)
  }

  exec(text: string): RegExpExecArray | null {
    this.text = text
    this.exceeded = false
    tries = 0
    const last = this.program.anchored ? 0 : text.length
    for (let start = 0; start <= last; start++) {
      // Where nothing is tried anew, runs are counted still.
      this.exceeded ||= tries > TRIES_MAX
      if (this.exceeded) return null
      this.registers.fill(-1)
      top = 0
      this.keptStart = start
      const end = this.run(0, start)
      if (end >= 0) return this.result(this.keptStart, end)
    }
    return null
  }

  private result(start: number, end: number): RegExpExecArray {
    const { text, registers, program } = this
    const match = [text.slice(start, end)] as unknown as RegExpExecArray
    for (let i = 1; i <= program.captures; i++) {
      match[i] =
        registers[i * 2]! < 0 ? (undefined as unknown as string) : text.slice(registers[i * 2], registers[i * 2 + 1])
    }
    match.index = start
    match.input = text
    if (program.names.size > 0) {
      match.groups = {}
      for (const [name, number] of program.names) match.groups[name] = match[number]!
    }
    return match
  }

  /** Runs from `pc` to its MATCH; answers where the match ends, or -1 with everything undone. Choices it has left stay. */
  private run(pc: number, at: number): number {
    const { code, text, registers } = this
    const { sets } = this.program
    const bottom = top
    for (;;) {
      let failed = false
      switch (code[pc]) {
        case op.MATCH:
          return at
        case op.SET:
          if (at < text.length && sets[code[pc + 1]!]![text.charCodeAt(at)] === 1) {
            at++
            pc += 2
          } else failed = true
          break
        case op.RUN: {
          const end = this.startRun(pc, at)
          if (end < 0) failed = true
          else {
            at = end
            pc += 5
          }
          break
        }
        case op.SPLIT:
          push(code[pc + 2]!, at, CHOICE)
          pc = code[pc + 1]!
          break
        case op.JUMP:
          pc = code[pc + 1]!
          break
        case op.SAVE:
          this.set(code[pc + 1]!, at)
          pc += 2
          break
        case op.CLOSE:
          this.set(code[pc + 1]!, registers[code[pc + 2]!]!)
          this.set(code[pc + 1]! + 1, at)
          pc += 3
          break
        case op.ASSERT:
          if (holds(code[pc + 1]!, text, at)) pc += 2
          else failed = true
          break
        case op.LOOP_START:
          this.set(code[pc + 1]!, 0)
          pc += 2
          break
        case op.LOOP:
          pc = this.loop(pc, at)
          break
        case op.LOOP_ENTER: {
          const register = code[pc + 1]!
          this.set(register, registers[register]! + 1)
          this.set(register + 1, at)
          pc += 2
          break
        }
        case op.ATOMIC: {
          const base = top
          const end = this.run(pc + 2, at)
          if (end < 0) failed = true
          else {
            dropChoices(base)
            at = end
            pc = code[pc + 1]!
          }
          break
        }
        case op.LOOK:
          if (this.look(pc, at)) pc = code[pc + 3]!
          else failed = true
          break
        case op.REFERENCE: {
          const length = this.reference(pc, at)
          if (length < 0) failed = true
          else {
            at += length
            pc += 3
          }
          break
        }
        case op.IF_SET:
          pc = registers[code[pc + 1]!]! < 0 ? code[pc + 2]! : pc + 3
          break
        case op.KEEP:
          push(0, this.keptStart, FORMER)
          this.keptStart = at
          pc++
          break
      }
      if (!failed) continue
      // Back to the last choice.
      for (;;) {
        if (top === bottom) return -1
        if (++tries > TRIES_MAX) this.exceeded = true
        if (this.exceeded) {
          top = bottom
          return -1
        }
        const kind = stack[top - 1]!
        if (kind === FORMER) {
          const register = stack[top - 3]!
          if (register === 0) this.keptStart = stack[top - 2]!
          else registers[register] = stack[top - 2]!
          top -= 3
          continue
        }
        if (kind === CHOICE) {
          pc = stack[top - 3]!
          at = stack[top - 2]!
          top -= 3
        } else if (kind === SHRINKING) {
          at = --stack[top - 2]!
          pc = stack[top - 4]!
          if (at === stack[top - 3]!) top -= 4
        } else {
          pc = stack[top - 4]!
          at = stack[top - 2]!
          const grown = at < text.length && sets[code[pc + 1]!]![text.charCodeAt(at)] === 1
          if (!grown) {
            top -= 4
            continue
          }
          stack[top - 2] = ++at
          if (--stack[top - 3]! === 0) top -= 4
          pc += 5
        }
        break
      }
    }
  }

  private set(register: number, value: number): void {
    push(register, this.registers[register]!, FORMER)
    this.registers[register] = value
  }

  /** A repeated set: where it ends at first, or -1. */
  private startRun(pc: number, at: number): number {
    const { code, text } = this
    const set: ByteSet = this.program.sets[code[pc + 1]!]!
    const min = code[pc + 2]!
    const max = code[pc + 3]! < 0 ? text.length : code[pc + 3]!
    const greed = code[pc + 4]!
    const wanted = Math.min(text.length, at + (greed === op.LAZY ? min : max))
    let end = at
    while (end < wanted && set[text.charCodeAt(end)] === 1) end++
    tries += (end - at) >> 5
    if (end - at < min) return -1
    if (greed === op.GREEDY && end > at + min) push4(pc + 5, at + min, end, SHRINKING)
    else if (greed === op.LAZY && max > min) push4(pc, max - min, end, GROWING)
    return end
  }

  /** Where to go on: into another iteration, or out. */
  private loop(pc: number, at: number): number {
    const { code, registers } = this
    const register = code[pc + 1]!
    const count = registers[register]!
    const max = code[pc + 3]!
    const exit = code[pc + 6]!
    const enter = pc + 7
    if (count < code[pc + 2]!) return enter
    const stands = code[pc + 5] === 1 && count > 0 && registers[register + 1] === at
    if (stands || (max >= 0 && count >= max)) return exit
    if (code[pc + 4] === op.LAZY) {
      push(enter, at, CHOICE)
      return exit
    }
    push(exit, at, CHOICE)
    return enter
  }

  private look(pc: number, at: number): boolean {
    const start = at - this.code[pc + 2]!
    const negative = this.code[pc + 1] === 1
    if (start < 0) return negative
    const base = top
    const found = this.run(pc + 4, start) >= 0
    // Not found is not missing then.
    if (this.exceeded) return false
    if (!found) return negative
    if (!negative) dropChoices(base)
    else this.undo(base)
    return !negative
  }

  private undo(base: number): void {
    while (top > base) {
      const kind = stack[top - 1]!
      if (kind === FORMER) {
        const register = stack[top - 3]!
        if (register === 0) this.keptStart = stack[top - 2]!
        else this.registers[register] = stack[top - 2]!
      }
      top -= kind === FORMER || kind === CHOICE ? 3 : 4
    }
  }

  /** Length of what the group matched, if it is here again; else -1. A group that is not set matches nowhere. */
  private reference(pc: number, at: number): number {
    const { code, registers, text } = this
    const from = registers[code[pc + 1]!]!
    if (from < 0) return -1
    const length = registers[code[pc + 1]! + 1]! - from
    if (at + length > text.length) return -1
    tries += length >> 5
    const caseless = code[pc + 2] === 1
    for (let i = 0; i < length; i++) {
      const a = text.charCodeAt(from + i)
      const b = text.charCodeAt(at + i)
      if (a !== b && !(caseless && (a | 32) === (b | 32) && (a | 32) >= 97 && (a | 32) <= 122)) return -1
    }
    return length
  }
}

function push(a: number, b: number, kind: number): void {
  if (top + 3 > stack.length) grow()
  stack[top++] = a
  stack[top++] = b
  stack[top++] = kind
}

function push4(a: number, b: number, c: number, kind: number): void {
  if (top + 4 > stack.length) grow()
  stack[top++] = a
  stack[top++] = b
  stack[top++] = c
  stack[top++] = kind
}

function grow(): void {
  // What needs that much has gone astray: it may try nothing more.
  if (stack.length >= STACK_MAX) tries = TRIES_MAX
  const larger = new Int32Array(stack.length * 2)
  larger.set(stack)
  stack = larger
}

/** Keeps only the former values of what lies above: they are needed when something before is tried anew. */
function dropChoices(base: number): void {
  // From above: kinds stand at the end of each entry.
  let kept = 0
  let read = top
  while (read > base) {
    const kind = stack[read - 1]!
    const size = kind === FORMER || kind === CHOICE ? 3 : 4
    if (kind === FORMER) {
      // Collected at the top's end, in order, then moved down.
      kept += 3
      stack.copyWithin(top - kept, read - 3, read)
    }
    read -= size
  }
  stack.copyWithin(base, top - kept, top)
  top = base + kept
}

function isWord(text: string, at: number): number {
  return at >= 0 && at < text.length ? wordBytes[text.charCodeAt(at)]! : 0
}

const LF = 10

function holds(assertion: number, text: string, at: number): boolean {
  switch (assertion) {
    case 0:
      return at === 0
    case 1:
      return at === text.length
    case 2:
      return at === text.length || (at === text.length - 1 && text.charCodeAt(at) === LF)
    case 3:
      return at === 0 || (at < text.length && text.charCodeAt(at - 1) === LF)
    case 4:
      return at === text.length || text.charCodeAt(at) === LF
    case 5:
      return isWord(text, at - 1) !== isWord(text, at)
    default:
      return isWord(text, at - 1) === isWord(text, at)
  }
}
