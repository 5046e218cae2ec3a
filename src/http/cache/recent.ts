// Small cached responses that were served a moment ago, kept in a thread's memory: for a second they are served without
// looking at the file. Whoever removes a file by hand need not wait longer than that; what other threads put in its place is
// seen at once, by its stamp.

import type { Entry } from './entry-file.ts'

/** What a thread keeps of one cache. */
const BYTES_MAX = 16 * 1024 * 1024
/** What an entry takes beside its text, about: its objects, and its head in pieces. */
const ENTRY_BYTES = 1024
const FRESH_MS = 1000

class Recent {
  readonly entry: Entry
  readonly stamp: number
  readonly readMs: number
  /** Has it been asked for since room was last looked for? */
  isWanted = false
  constructor(entry: Entry, stamp: number, readMs: number) {
    this.entry = entry
    this.stamp = stamp
    this.readMs = readMs
  }
}

export class RecentEntries {
  private readonly entries = new Map<string, Recent>()
  private bytes = 0

  /** @param stamp what the zone's memory says of the file */
  get(id: string, stamp: number, nowMs: number): Entry | null {
    const recent = this.entries.get(id)
    if (recent === undefined) return null
    if (recent.stamp !== stamp || nowMs - recent.readMs >= FRESH_MS) {
      this.remove(id, recent)
      return null
    }
    recent.isWanted = true
    return recent.entry
  }

  /** An entry whose body is in memory. */
  add(id: string, entry: Entry, stamp: number, nowMs: number): void {
    const before = this.entries.get(id)
    if (before !== undefined) this.remove(id, before)
    this.entries.set(id, new Recent(entry, stamp, nowMs))
    this.bytes += ENTRY_BYTES + entry.size
    if (this.bytes > BYTES_MAX) this.makeRoom(nowMs)
  }

  private remove(id: string, { entry }: Recent): void {
    this.entries.delete(id)
    this.bytes -= ENTRY_BYTES + entry.size
  }

  /** The oldest go; what was asked for meanwhile has a second chance. */
  private makeRoom(nowMs: number): void {
    for (const [id, recent] of this.entries) {
      if (this.bytes <= BYTES_MAX) return
      const stays = recent.isWanted && nowMs - recent.readMs < FRESH_MS
      this.entries.delete(id)
      recent.isWanted = false
      if (stays) this.entries.set(id, recent)
      else this.bytes -= ENTRY_BYTES + recent.entry.size
    }
  }
}
