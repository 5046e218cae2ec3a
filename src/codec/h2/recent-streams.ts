// Streams that we have closed and for which frames of the other side may still be on their way.

const RECENT_MAX = 1000

export class RecentStreams {
  private readonly ids = new Set<number>()

  add(id: number): void {
    this.ids.add(id)
    if (this.ids.size <= RECENT_MAX) return
    for (const oldest of this.ids) {
      this.ids.delete(oldest)
      break
    }
  }

  has(id: number): boolean {
    return this.ids.has(id)
  }
}
