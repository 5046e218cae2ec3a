// The streams that have something to send, in the order they are served: fair among equals, one frame each in turn; what the
// client has called more urgent goes first.

import { type Priority, PriorityTree } from './priority-tree.ts'
import type { Stream } from './stream.ts'

export class SendList {
  private head: Stream | null = null
  private tail: Stream | null = null
  /** Has any stream a priority of its own? Only then is the list searched. */
  private ranked = false
  private tree: PriorityTree | null = null

  get empty(): boolean {
    return this.head === null
  }

  add(stream: Stream): void {
    if (stream.waiting) return
    stream.waiting = true
    stream.previous = this.tail
    stream.next = null
    if (this.tail === null) this.head = stream
    else this.tail.next = stream
    this.tail = stream
  }

  remove(stream: Stream): void {
    if (!stream.waiting) return
    stream.waiting = false
    if (stream.previous === null) this.head = stream.next
    else stream.previous.next = stream.next
    if (stream.next === null) this.tail = stream.previous
    else stream.next.previous = stream.previous
    stream.next = null
    stream.previous = null
  }

  /** RFC 9218's urgency, of a stream that is there. */
  hurry(stream: Stream, urgency: number): void {
    stream.urgency = urgency
    this.ranked = true
  }

  /** RFC 7540's priorities (5.3): the tree is made when the first client speaks of them. */
  depend(id: number, on: number, exclusive: boolean, weight: number, streams: ReadonlyMap<number, Stream>): void {
    if (this.tree === null) {
      this.tree = new PriorityTree()
      for (const stream of streams.values()) this.tree.place(stream)
    }
    this.ranked = true
    this.tree.depend(id, on, exclusive, weight)
  }

  /** What the client has said of a stream's priority; null: nothing, or nothing of any stream. */
  priorityOf(id: number): Priority | null {
    return this.tree === null ? null : this.tree.priorityOf(id)
  }

  /** A stream has been opened: its place in the tree may be known already. */
  place(stream: Stream): void {
    this.tree?.place(stream)
  }

  /** A stream is closed; others may still depend on it. */
  displace(stream: Stream): void {
    this.tree?.displace(stream)
  }

  /** Whose turn it is. */
  pick(): Stream | null {
    if (!this.ranked || this.head === null) return this.head
    let best = this.head
    for (let at = best.next; at !== null; at = at.next) if (precedes(at, best)) best = at
    return best
  }

  /** It has had its turn. */
  rotate(stream: Stream): void {
    if (stream === this.tail) return
    this.remove(stream)
    this.add(stream)
  }
}

function precedes(a: Stream, b: Stream): boolean {
  if (a.urgency !== b.urgency) return a.urgency < b.urgency
  return a.rank !== b.rank ? a.rank < b.rank : a.weight > b.weight
}
