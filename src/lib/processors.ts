// How many processors there are for us. Node knows those that the process may run on, and the quota that a container has by version
// 2 of the kernel's control groups; of version 1 it knows few names, and none as a container sees it.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** @param root where the system's files are, for tests */
export function processors(root = ''): number {
  const quota = quotaOf(root)
  return quota === null ? availableParallelism() : Math.min(availableParallelism(), Math.max(Math.floor(quota), 1))
}

/** As many processors as the quota of version 1 is worth; null: there is none. */
export function quotaOf(root: string): number | null {
  const [, names, path] = /^\d+:((?:\w+,)*cpu(?:,\w+)*):(.*)$/m.exec(contents(`${root}/proc/self/cgroup`)) ?? []
  if (names === undefined || path === undefined) return null
  const quotas = foldersOf(path)
    .flatMap(folder => [`cpu${folder}`, `${names}${folder}`])
    .map(folder => quotaIn(`${root}/sys/fs/cgroup/${folder}`))
    .filter(one => one !== null)
  return quotas.length === 0 ? null : Math.min(...quotas)
}

/** With those above it, which have quotas too; in a container the uppermost is its own. */
function foldersOf(path: string): string[] {
  const parts = path.split('/').filter(part => part !== '')
  return [...parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`), '']
}

function quotaIn(folder: string): number | null {
  const quota = Number(contents(`${folder}/cpu.cfs_quota_us`))
  const period = Number(contents(`${folder}/cpu.cfs_period_us`))
  return quota > 0 && period > 0 ? quota / period : null
}

/** '' where there is no such file. */
function contents(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
