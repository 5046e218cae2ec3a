// What the kernel lets the front have, and where it runs it: setrlimit(2), setpriority(2), prctl(2), sched_setaffinity(2). Each
// answers '' or why it was refused, in the C library's words.

import { dlopen } from 'node:ffi'
import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { lastReason } from './libc.ts'
import { reason } from './system-error.ts'
import { startThreadPool } from './thread-pool.ts'

export const RLIMIT_CORE = 4
export const RLIMIT_NOFILE = 7
/** As many processors as a cpu_set_t has bits for. */
export const CPU_SETSIZE = 1024

const PR_SET_DUMPABLE = 4
const NICE_MIN = -20
const NICE_MAX = 19

/** The kernel's word for no limit. */
const RLIM_INFINITY = 0xffffffffffffffffn

interface Calls {
  getrlimit(resource: number, limits: Buffer): number
  setrlimit(resource: number, limits: Buffer): number
  prctl(option: number, argument: bigint): number
  sched_setaffinity(thread: number, size: bigint, mask: Buffer): number
}

let calls: Calls | null = null

/** Both its soft and its hard limit. */
export function limit(resource: number, value: number): string {
  const limits = Buffer.alloc(16)
  limits.writeBigUInt64LE(BigInt(value), 0)
  limits.writeBigUInt64LE(BigInt(value), 8)
  const libc = (calls ??= load())
  return libc.setrlimit(resource, limits) === 0 ? '' : lastReason()
}

/** `soft:hard` */
export function limitsOf(resource: number): string {
  const limits = Buffer.alloc(16)
  calls ??= load()
  if (calls.getrlimit(resource, limits) !== 0) return 'unknown'
  const values = [limits.readBigUInt64LE(0), limits.readBigUInt64LE(8)]
  return values.map(value => (value === RLIM_INFINITY ? 'unlimited' : value)).join(':')
}

/** To the kernel a thread is as nice as it is itself, and as whoever has started it: there are some already. */
export function setNiceness(wanted: number): string {
  const niceness = Math.max(NICE_MIN, Math.min(wanted, NICE_MAX))
  try {
    setPriority(niceness)
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), niceness)
    return ''
  } catch (error) {
    return reason((error as { info?: unknown }).info ?? error)
  }
}

/** Who is not root any more leaves no core behind unless it is said that others may look at its memory. */
export function allowCoreDump(): void {
  calls ??= load()
  calls.prctl(PR_SET_DUMPABLE, 1n)
}

/** The calling thread runs there alone from now on. */
export function bindToCpus(cpus: readonly number[]): string {
  // Its threads would be bound like the one that needs them first.
  startThreadPool()
  const mask = Buffer.alloc(CPU_SETSIZE / 8)
  for (const cpu of cpus) mask[cpu >> 3]! |= 1 << (cpu & 7)
  const libc = (calls ??= load())
  return libc.sched_setaffinity(0, BigInt(mask.length), mask) === 0 ? '' : lastReason()
}

function load(): Calls {
  const { functions } = dlopen(null, {
    getrlimit: { arguments: ['i32', 'buffer'], return: 'i32' },
    setrlimit: { arguments: ['i32', 'buffer'], return: 'i32' },
    prctl: { arguments: ['i32', 'u64'], return: 'i32' },
    sched_setaffinity: { arguments: ['i32', 'u64', 'buffer'], return: 'i32' },
  }) as unknown as { functions: Calls }
  return functions
}
