// The front's threads are asked what they have, and what they say is put together. One that does not answer in time is left out.

import type { AppReport, FrontReport } from '../control/program.ts'
import type { AppPart, ThreadReport } from './thread-report.ts'

/** Of the request, and of the answer. */
export const REPORT_TOPIC = 'report'

const ANSWER_MS = 1000

export class ThreadReports {
  private readonly ask: (id: number) => void
  private readonly reports = new Map<number, ThreadReport>()
  private answer: PromiseWithResolvers<void> | null = null
  private threads = 0
  private id = 0

  constructor(ask: (id: number) => void) {
    this.ask = ask
  }

  /** Who asks meanwhile is given the same answer. */
  async of(threads: number): Promise<FrontReport> {
    if (this.answer === null) {
      this.answer = Promise.withResolvers()
      this.reports.clear()
      this.threads = threads
      const timer = setTimeout(() => this.settle(), ANSWER_MS)
      void this.answer.promise.then(() => clearTimeout(timer))
      this.ask(++this.id)
    }
    await this.answer.promise
    return together(this.threads, [...this.reports.values()])
  }

  told(report: ThreadReport): void {
    if (this.answer === null || report.id !== this.id) return
    this.reports.set(report.thread, report)
    if (this.reports.size === this.threads) this.settle()
  }

  private settle(): void {
    this.answer?.resolve()
    this.answer = null
  }
}

export function together(threads: number, reports: readonly ThreadReport[]): FrontReport {
  // Every thread counts in the same memory: whoever answered last knows most.
  const last = reports.at(-1)
  const parts = Map.groupBy(
    reports.flatMap(report => report.apps),
    part => part.name,
  )
  return {
    threads,
    silent: threads - reports.length,
    connections: last?.connections ?? null,
    requests: last?.requests ?? null,
    apps: new Map([...parts].map(([name, all]) => [name, appTogether(all)])),
  }
}

function appTogether(parts: readonly AppPart[]): AppReport {
  const { kind, queue, counters } = parts.at(-1)!.snapshot
  const inFlight = new Map<number, number>()
  for (const { snapshot } of parts) {
    for (const { pid, in_flight: count } of snapshot.workers) {
      const before = inFlight.get(pid) ?? 0
      // Of Node's workers a thread knows its own requests, of all others those of every thread.
      inFlight.set(pid, kind === 'node' ? before + count : Math.max(before, count))
    }
  }
  return { kind, waiting: parts.reduce((sum, { backlog }) => sum + backlog, 0), queue, inFlight, counters }
}
