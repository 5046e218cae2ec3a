// What a process that from now on only waits gives back: its start has taken memory that it will not need again, and V8 and
// malloc keep such memory for one who goes on working. For the master and the front's main thread, which carry no traffic.

import { dlopen } from 'node:ffi'

/** What is started meanwhile has settled by then. */
const REST_AFTER_MS = 1000

let timer: NodeJS.Timeout | null = null

/** Soon, and once for all calls until then. */
export function rest(): void {
  timer ??= setTimeout(giveBack, REST_AFTER_MS).unref()
}

function giveBack(): void {
  timer = null
  // The launcher has V8 show it; where somebody else has started us, nothing is lost but the memory.
  if (globalThis.gc === undefined) return
  globalThis.gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  trim()
}

/** glibc's malloc keeps the pages of what was freed unless it lies at the very end. */
function trim(): void {
  try {
    const { functions } = dlopen(null, { malloc_trim: { arguments: ['u64'], return: 'i32' } })
    ;(functions as unknown as { malloc_trim(keep: bigint): number }).malloc_trim(0n)
  } catch {
    // Another C library: its own ways.
  }
}
