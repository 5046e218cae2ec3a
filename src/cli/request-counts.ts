// How many requests each worker has served. It is the front that counts, so its threads are asked; one that does not answer at
// once is not waited for.

const ANSWER_MS = 250

type Counts = ReadonlyMap<number, number>

export class RequestCounts {
  private readonly ask: (app: string) => void
  private readonly counts = new Map<number, number>()
  /** Applications that have not been told of yet. */
  private readonly left = new Set<string>()
  private answer: PromiseWithResolvers<Counts> | null = null

  constructor(ask: (app: string) => void) {
    this.ask = ask
  }

  /** By pid; a worker nobody knows of is not among them. */
  of(apps: readonly string[]): Promise<Counts> {
    if (this.answer !== null) return this.answer.promise
    if (apps.length === 0) return Promise.resolve(new Map())
    this.answer = Promise.withResolvers()
    this.counts.clear()
    for (const app of apps) this.left.add(app)
    const { promise } = this.answer
    const timer = setTimeout(() => this.settle(), ANSWER_MS)
    for (const app of apps) this.ask(app)
    return promise.finally(() => clearTimeout(timer))
  }

  told(app: string, workers: readonly { readonly pid: number; readonly served: number }[]): void {
    if (!this.left.delete(app)) return
    for (const { pid, served } of workers) this.counts.set(pid, served)
    if (this.left.size === 0) this.settle()
  }

  private settle(): void {
    this.answer?.resolve(new Map(this.counts))
    this.answer = null
    this.left.clear()
  }
}
