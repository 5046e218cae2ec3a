// Processes as /proc shows them: who descends from whom, and who is still there after a stop. A process is known by its pid
// and its start time together, so that a pid used again is not taken for the one that had it before.

import { readdirSync, readFileSync } from 'node:fs'

export interface Process {
  readonly pid: number
  readonly parent: number
  /** The kernel's clock ticks since boot. */
  readonly started: number
  readonly command: string
}

/** The process and all that descend from it, parents first; none when it is gone. Zombies do not count. */
export function processTree(pid: number): Process[] {
  const all = pids().flatMap(one => statOf(one) ?? [])
  const tree = all.filter(one => one.pid === pid)
  for (let i = 0; i < tree.length; i++) {
    const parent = tree[i]!.pid
    tree.push(...all.filter(one => one.parent === parent))
  }
  return tree.map(withCommand)
}

/** Processes whose environment, as they were started with it, holds `NAME=value`. */
export function processesWith(variable: string): Process[] {
  const found = pids().filter(pid => readProc(pid, 'environ').split('\0').includes(variable))
  return found.flatMap(pid => statOf(pid) ?? []).map(withCommand)
}

export function isAlive(one: Process): boolean {
  return statOf(one.pid)?.started === one.started
}

/** Ends them without mercy; for cleaning up after a test that failed. */
export function killAll(gone: readonly Process[]): void {
  for (const one of gone) if (isAlive(one)) signalTo(one.pid, 'SIGKILL')
}

/** Sends a signal to a process that may have just ended. */
export function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function pids(): number[] {
  return readdirSync('/proc').flatMap(name => (/^\d+$/.test(name) ? [Number(name)] : []))
}

function statOf(pid: number): Omit<Process, 'command'> | null {
  const stat = readProc(pid, 'stat')
  // The second field is the command's name in parentheses and may hold anything, parentheses too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (stat === '' || fields[0] === 'Z' || fields[0] === 'X') return null
  return { pid, parent: Number(fields[1]), started: Number(fields[19]) }
}

/** Read of those alone that are asked for: a machine may have hundreds of processes. */
function withCommand(one: Omit<Process, 'command'>): Process {
  return { ...one, command: readProc(one.pid, 'cmdline').replaceAll('\0', ' ').trim() }
}

/** Empty when the process has gone or is not ours to read. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
