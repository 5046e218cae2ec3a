// Which peer a session belongs to (`sticky learn`), in a table that threads share. A session nobody has used for the timeout
// is forgotten, and so is the one used least recently when there is no room.

import type { KeyTable } from './key-table.ts'

// An entry's numbers: the time of its last use in ms, in two words; the length of the peer's sid, and its bytes.
const LAST = 0
const LENGTH = 2
const SID = 3
const SID_BYTES = 32
/** For the table's constructor. */
export const SESSION_NUMBERS = SID + SID_BYTES / 4
const TWO_32 = 2 ** 32

/** The peer of a session, '' if it is not known. */
export function findSession(table: KeyTable, session: string, timeoutMs: number, now: number): string {
  table.lock()
  const entry = table.find(session)
  let sid = ''
  if (entry !== 0 && !isOver(table, entry, timeoutMs, now)) {
    const at = table.valuesAt(entry)
    sid = bytesAt(table, at).toString('latin1', 0, table.values[at + LENGTH])
  }
  table.unlock()
  return sid
}

/** The session has been at that peer. `create`: it may be a new one. @returns false: an old one had to go for it */
export function touchSession(
  table: KeyTable,
  session: string,
  sid: string,
  create: boolean,
  timeoutMs: number,
  now: number,
): boolean {
  table.lock()
  dropOver(table, timeoutMs, now)
  let room = true
  let entry = table.find(session)
  if (entry !== 0) table.touch(entry)
  else if (create) {
    entry = table.add()
    if (entry === 0) {
      room = false
      const oldest = table.oldest()
      if (oldest !== 0) table.remove(oldest)
      table.find(session)
      entry = table.add()
    }
  }
  if (entry !== 0) {
    const at = table.valuesAt(entry)
    table.values[at + LAST] = Math.floor(now / TWO_32)
    table.values[at + LAST + 1] = (now % TWO_32) | 0
    table.values[at + LENGTH] = bytesAt(table, at).write(sid.slice(0, SID_BYTES), 'latin1')
  }
  table.unlock()
  return room
}

/** A few at a time, so that no request pays for many. */
function dropOver(table: KeyTable, timeoutMs: number, now: number): void {
  for (let i = 0; i < 4; i++) {
    const oldest = table.oldest()
    if (oldest === 0 || !isOver(table, oldest, timeoutMs, now)) return
    table.remove(oldest)
  }
}

function isOver(table: KeyTable, entry: number, timeoutMs: number, now: number): boolean {
  const at = table.valuesAt(entry)
  const last = table.values[at + LAST]! * TWO_32 + (table.values[at + LAST + 1]! >>> 0)
  return now - last >= timeoutMs
}

function bytesAt(table: KeyTable, at: number): Buffer {
  const { buffer, byteOffset } = table.values
  return Buffer.from(buffer, byteOffset + (at + SID) * 4, SID_BYTES)
}
