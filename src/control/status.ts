// The command `show status`: what is running, in numbers. The master knows its workers; what they are at, and what connections
// there are, the front's threads are asked for.

import { VERSION } from '../lib/product.ts'
import { sharedMemory } from '../app/pool/memory.ts'
import type { App, AppReport, FrontReport, RunningProgram, Worker } from './program.ts'

/** Looking at a process's memory takes the kernel a moment: those of an application with more workers are not looked at. */
const WEIGHED_MAX = 32

export async function showStatus(program: RunningProgram): Promise<Readonly<Record<string, unknown>>> {
  const report = await program.report()
  const { stats, workers, apps, front } = program
  return {
    version: VERSION,
    uptime: (Date.now() - stats.startedMs) / 1000,
    pid: program.pid,
    front: front === 0 ? null : front,
    memory: front === 0 ? null : weigh([front]),
    reloads: stats.reloads,
    threads: report.threads,
    threads_silent: report.silent,
    connections: report.connections,
    requests: report.requests,
    apps: apps.map(app => showApp(app, ofApp(app, workers), report)),
  }
}

function ofApp({ name }: App, workers: readonly Worker[]): Worker[] {
  return workers.filter(worker => worker.app === name)
}

function showApp({ name, wanted }: App, workers: readonly Worker[], report: FrontReport): object {
  const known: AppReport | undefined = report.apps.get(name)
  const count = (state: Worker['state']): number => workers.filter(worker => worker.state === state).length
  const serving = workers.filter(worker => worker.state === 'serving')
  const inFlight = known === undefined ? null : [...known.inFlight.values()].reduce((sum, one) => sum + one, 0)
  const busy = serving.filter(({ pid }) => (known?.inFlight.get(pid) ?? 0) > 0).length
  return {
    name,
    kind: known?.kind ?? null,
    workers: {
      wanted,
      starting: count('starting'),
      idle: known === undefined ? null : serving.length - busy,
      busy: known === undefined ? null : busy,
      leaving: count('leaving'),
    },
    in_flight: inFlight,
    queue: { waiting: known?.waiting ?? null, limit: known?.queue ?? null },
    counters: known?.counters ?? null,
    memory: weigh(workers.map(({ pid }) => pid)),
  }
}

/** Bytes, what is shared with other processes by parts; null: not known. */
function weigh(pids: readonly number[]): number | null {
  if (pids.length > WEIGHED_MAX) return null
  const bytes = pids.map(sharedMemory)
  return bytes.includes(0) ? null : bytes.reduce((sum, one) => sum + one, 0)
}
