// Waiting for something that sends no event: a log line, a process that ends, a counter in shared memory.

import { setTimeout as sleep } from 'node:timers/promises'

const INTERVAL_MS = 15
/** What has not come by now is looked for less often: looking costs what is waited for its processor. */
const SOON_MS = 1000
const LATER_INTERVAL_MS = 50
/** What is only reached when a test fails; a busy machine may need seconds for what takes milliseconds. */
const PATIENCE_MS = 60_000

/**
 * Calls `check` until it returns something truthy, and returns that. A check that throws (an assertion) counts as not yet;
 * its last error is what the test sees when time is up.
 */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = PATIENCE_MS): Promise<T> {
  const begun = performance.now()
  const deadline = begun + timeoutMs
  for (;;) {
    let failure: unknown
    try {
      const value = await check()
      if (value) return value
    } catch (error) {
      failure = error
    }
    const now = performance.now()
    if (now >= deadline) {
      throw failure ?? new Error(`not so within ${timeoutMs} ms: ${check.toString()}`)
    }
    await sleep(now - begun < SOON_MS ? INTERVAL_MS : LATER_INTERVAL_MS)
  }
}

/** The promise's value, or an error that says what did not happen in time. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} (waited ${timeoutMs} ms)`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
