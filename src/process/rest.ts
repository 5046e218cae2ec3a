// What a process gives back that from now on only waits, or whose start is over: its start has taken memory that it will not
// need again, and V8, malloc and the kernel keep such memory for one who goes on working. Called by the master and by the
// front's main thread, neither of which carries any traffic.

import { dlopen } from 'node:ffi'
import { readFileSync } from 'node:fs'
import { dropProgramPages } from './program-pages.ts'

/** What is started meanwhile has settled by then. */
const REST_AFTER_MS = 1000
/** How often a process with threads at work looks whether it has grown, and by how many pages that is worth a step. */
const LOOK_MS = 2000
const GROWN_PAGES = 1024
/** More pages of files than whoever only waits has in use; to bring back those of one who works costs a fraction of a millisecond. */
const FILE_PAGES = 1280

let timer: NodeJS.Timeout | null = null
let looking: NodeJS.Timeout | null = null
let pagesBefore = 0

/** Soon, and once for all calls until then. */
export function rest(): void {
  timer ??= setTimeout(giveBack, REST_AFTER_MS).unref()
}

/** For a process with threads at work: what they have freed is given back, too, now and then. */
export function restNowAndThen(): void {
  rest()
  looking ??= setInterval(look, LOOK_MS).unref()
}

function giveBack(): void {
  timer = null
  // The launcher has V8 show it; where somebody else has started us, nothing is lost but the memory.
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  trim()
  dropProgramPages()
  // All this has run through as much code again.
  setTimeout(dropProgramPages, LOOK_MS).unref()
}

/** V8's compilers take ten megabytes for a moment when the first thousands of requests have come, and run through as much code. */
function look(): void {
  const { own, files } = pages()
  if (files > FILE_PAGES) dropProgramPages()
  if (own > pagesBefore + GROWN_PAGES) trim()
}

/** glibc's malloc keeps the pages of what was freed unless it lies at the very end. */
function trim(): void {
  mallocTrim?.(0n)
  pagesBefore = pages().own
}

/** Null with another C library: its own ways. */
const mallocTrim = openTrim()

function openTrim(): ((keep: bigint) => number) | null {
  try {
    const { functions } = dlopen(null, { malloc_trim: { arguments: ['u64'], return: 'i32' } })
    return (functions as unknown as { malloc_trim(this: void, keep: bigint): number }).malloc_trim
  } catch {
    return null
  }
}

/** Pages in memory that are a file's, and those that are not; 0 where the system does not tell. */
function pages(): { own: number; files: number } {
  try {
    const [, resident, files] = readFileSync('/proc/self/statm', 'latin1').split(' ')
    return { own: Number(resident) - Number(files), files: Number(files) }
  } catch {
    return { own: 0, files: 0 }
  }
}
