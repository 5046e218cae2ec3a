// Applications written for node:cluster: their primary forks as many workers as there are processors and restarts them, which is
// our master's work. So when one calls cluster.fork(), its process is started anew as if it were such a worker.

import cluster from 'node:cluster'
import { syncBuiltinESMExports } from 'node:module'

/** What cluster says of itself; its types have no room for our changing it. */
const words = cluster as unknown as Record<string, unknown>

export function onClusterFork(run: () => never): void {
  words['fork'] = run
  syncBuiltinESMExports()
}

/** Servers then listen with `exclusive`, or net would ask a primary for the address. */
export function beClusterWorker(id: number): void {
  const worker = new cluster.Worker({ id, process, state: 'online' } as never)
  Object.assign(words, { isPrimary: false, isMaster: false, isWorker: true, worker })
  syncBuiltinESMExports()
}
