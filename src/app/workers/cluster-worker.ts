// Applications written for node:cluster: their primary forks as many workers as there are processors and restarts them, which is
// our master's work. So when one calls cluster.fork(), its process is started anew as if it were such a worker.

import cluster, { type Worker } from 'node:cluster'
import { EventEmitter } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'

/** What cluster says of itself; its types have no room for our changing it. */
const words = cluster as unknown as Record<string, unknown>

/** What a worker is to have in its environment beside what all have. */
export type ForkEnvironment = Readonly<Record<string, string>>

/** Calls `run` when the program has forked as many as it forks in one go, whose environments are in `forked` then. */
export function onClusterFork(forked: ForkEnvironment[], run: () => never): void {
  words['fork'] = (env: object | null = null) => {
    if (forked.length === 0) process.nextTick(run)
    forked.push(Object.fromEntries(Object.entries(env ?? {}).map(([name, value]) => [name, String(value)])))
    const id = forked.length
    const worker = new cluster.Worker({ id, process: nobody(), state: 'none' } as never)
    cluster.workers![id] = worker
    return worker
  }
  syncBuiltinESMExports()
}

/** The process of a worker that another will be in the place of: its primary finds it as one that has only just been forked. */
function nobody(): object {
  const none = (): boolean => true
  return Object.assign(new EventEmitter(), {
    pid: undefined,
    connected: true,
    send: none,
    kill: none,
    disconnect: none,
  })
}

/** Servers then listen with `exclusive`, or net would ask a primary for the address. `close` closes all of them. */
export function beClusterWorker(id: number, close: (done: () => void) => void): void {
  const worker = new cluster.Worker({ id, process, state: 'online' } as never)
  Object.assign(words, { isPrimary: false, isMaster: false, isWorker: true, worker })
  Object.assign(worker, endings(worker, close))
  syncBuiltinESMExports()
}

/** How a worker takes its leave: what is there in a process that is no child of cluster's means one that it has forked. The
 *  channel stays: it is the master's, which starts another when the process has ended. */
function endings(worker: Worker, close: (done: () => void) => void): object {
  const end = (): void => {
    worker.exitedAfterDisconnect = true
    setImmediate(() => process.exit(0))
  }
  const disconnect = (): Worker => {
    if (!worker.exitedAfterDisconnect) close(() => worker.emit('disconnect'))
    worker.exitedAfterDisconnect = true
    return worker
  }
  return { disconnect, kill: end, destroy: end }
}
