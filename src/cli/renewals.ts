// Applications that are loaded anew by themselves, beside those that serve (--reload). One at a time for each: what changes
// meanwhile is loaded afterwards.

/** A pool, as far as it matters here. */
export interface Renewable {
  readonly loaded: Promise<string>
  start(): void
  stop(graceful: boolean, timeout: number): Promise<void>
}

export class Renewals<Pool extends Renewable> {
  /** Those that are being loaded, or sent away again. */
  readonly fresh = new Set<Pool>()
  private readonly make: (old: Pool) => Pool
  private readonly succeed: (old: Pool, fresh: Pool) => void
  /** Those whose successors they are. */
  private readonly renewing = new Set<Pool>()
  private again = false
  private isOver = false

  /** @param succeed the fresh one is loaded, and takes the place of the old */
  constructor(make: (old: Pool) => Pool, succeed: (old: Pool, fresh: Pool) => void) {
    this.make = make
    this.succeed = succeed
  }

  /** A file is not what it was. @param pool one that serves or is fresh: of what is being loaded, the first workers may look at
   *  their files already */
  changed(pool: Pool): void {
    if (!this.fresh.has(pool) && !this.renewing.has(pool)) {
      void this.renew(pool)
      return
    }
    this.again = true
    // What is being loaded is out of date, and may load for ever.
    for (const one of this.fresh) void one.stop(false, 0)
  }

  stop(): Promise<void>[] {
    this.isOver = true
    return [...this.fresh].map(pool => pool.stop(false, 0))
  }

  private async renew(old: Pool): Promise<void> {
    this.renewing.add(old)
    const fresh = this.make(old)
    this.fresh.add(fresh)
    fresh.start()
    const error = await fresh.loaded
    // What changed meanwhile has sent it away, even where it was ready in the same moment.
    const isUsable = error === '' && !this.again
    if (!isUsable) await fresh.stop(false, 0)
    this.fresh.delete(fresh)
    this.renewing.delete(old)
    const { again } = this
    this.again = false
    if (this.isOver) return
    if (isUsable) this.succeed(old, fresh)
    else if (again) await this.renew(old)
  }
}
