// The leaky bucket of limit_req, in a table that threads share: how many requests of a key are above the rate, in
// thousandths. It fills by 1000 with each request and leaks with time (ngx_http_limit_req_module).

import type { KeyTable } from './key-table.ts'

/** Outcomes of check(). */
export const WITHIN = 0
export const ABOVE = 1
export const NO_ROOM = 2

// An entry's numbers: thousandths above the rate; the time of the last request in ms, in two words; and how many requests
// are between check() and account(), which keeps the entry from being dropped.
const EXCESS = 0
const LAST = 1
const PINNED = 3
const TWO_32 = 2 ** 32

/** An entry nobody asked for in that time is dropped, if it is empty by now. */
const IDLE_MS = 60_000

/** What the last call of check() or account() found. */
export let excess = 0

/** Would one more request be above `burst`? `account`: it counts at once; otherwise account() or release() must follow. */
export function check(
  table: KeyTable,
  key: string,
  rate: number,
  burst: number,
  now: number,
  account: boolean,
): number {
  table.lock()
  const outcome = checkLocked(table, key, rate, burst, now, account)
  table.unlock()
  return outcome
}

function checkLocked(table: KeyTable, key: string, rate: number, burst: number, now: number, account: boolean): number {
  const { values } = table
  const known = table.find(key)
  excess = 0
  if (known !== 0) {
    table.touch(known)
    const at = table.valuesAt(known)
    const passed = passedSince(values, at, now)
    excess = leaked(values, at, rate, passed)
    if (excess > burst) return ABOVE
    if (account) {
      values[at + EXCESS] = excess
      if (passed > 0) setLast(values, at, now)
    } else values[at + PINNED]!++
    return WITHIN
  }
  const entry = addEntry(table, key, rate, now)
  if (entry === 0) return NO_ROOM
  const at = table.valuesAt(entry)
  if (account) setLast(values, at, now)
  else values[at + PINNED] = 1
  return WITHIN
}

/** Counts the request that check() let pass. @returns the excess */
export function account(table: KeyTable, key: string, rate: number, now: number): number {
  table.lock()
  const entry = table.find(key)
  excess = 0
  if (entry !== 0) {
    const { values } = table
    const at = table.valuesAt(entry)
    const passed = passedSince(values, at, now)
    excess = leaked(values, at, rate, passed)
    values[at + EXCESS] = excess
    if (passed > 0) setLast(values, at, now)
    unpin(values, at)
  }
  table.unlock()
  return excess
}

/** Another limit has refused the request that check() let pass. */
export function release(table: KeyTable, key: string): void {
  table.lock()
  const entry = table.find(key)
  if (entry !== 0) unpin(table.values, table.valuesAt(entry))
  table.unlock()
}

function unpin(values: Int32Array, at: number): void {
  if (values[at + PINNED]! > 0) values[at + PINNED]!--
}

/** Milliseconds since the last request. A clock that was set back far begins anew. */
function passedSince(values: Int32Array, at: number, now: number): number {
  const last = values[at + LAST]! * TWO_32 + (values[at + LAST + 1]! >>> 0)
  const passed = now - last
  return passed < -IDLE_MS ? 1 : Math.max(0, passed)
}

function setLast(values: Int32Array, at: number, now: number): void {
  values[at + LAST] = Math.floor(now / TWO_32)
  values[at + LAST + 1] = (now % TWO_32) | 0
}

function leaked(values: Int32Array, at: number, rate: number, passed: number): number {
  return Math.max(0, values[at + EXCESS]! - Math.trunc((rate * passed) / 1000) + 1000)
}

function addEntry(table: KeyTable, key: string, rate: number, now: number): number {
  dropIdle(table, rate, now)
  dropIdle(table, rate, now)
  table.find(key)
  let entry = table.add()
  if (entry === 0) {
    // No room: the least recently used goes, unless a request is just being decided upon.
    const oldest = table.oldest()
    if (oldest === 0 || table.values[table.valuesAt(oldest) + PINNED]! > 0) return 0
    table.remove(oldest)
    entry = table.add()
  }
  return entry
}

function dropIdle(table: KeyTable, rate: number, now: number): void {
  const oldest = table.oldest()
  if (oldest === 0) return
  const { values } = table
  const at = table.valuesAt(oldest)
  if (values[at + PINNED]! > 0) return
  const passed = passedSince(values, at, now)
  if (passed >= IDLE_MS && values[at + EXCESS]! <= (rate * passed) / 1000) table.remove(oldest)
}
