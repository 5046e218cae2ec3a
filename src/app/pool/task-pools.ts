// The pools for tasks of a whole program. One outlives a reload that leaves everything as it is but the tasks themselves: then what
// its stash keeps stays, and tasks that are being done are finished. It is stopped when no generation of applications needs it.

import type { AppSettings } from '../app.ts'
import { TaskPool } from './task-pool.ts'
import type { TaskPoolOptions } from './task-pool.ts'

interface Kept {
  readonly key: string
  readonly pool: TaskPool
  readonly users: Set<object>
  leaving: boolean
}

export class TaskPools {
  private readonly kept: Kept[] = []

  /**
   * @param user the generation that needs it
   * @returns the pool, and whether it has just been started
   */
  take(user: object, options: TaskPoolOptions): { readonly pool: TaskPool; readonly isNew: boolean } {
    const key = keyOf(options.settings, options.front)
    const found = this.kept.find(one => one.key === key && !one.leaving)
    if (found !== undefined) {
      found.users.add(user)
      return { pool: found.pool, isNew: false }
    }
    const pool = new TaskPool(options)
    this.kept.push({ key, pool, users: new Set([user]), leaving: false })
    pool.start()
    return { pool, isNew: true }
  }

  /** Those that only this generation needed end; what still ends for others of it is hastened. */
  async leave(user: object, graceful: boolean): Promise<void> {
    const unused = this.kept.filter(({ users }) => users.has(user) && users.size === 1)
    for (const { users } of this.kept) if (users.size > 1) users.delete(user)
    for (const one of unused) one.leaving = true
    await Promise.all(unused.map(({ pool }) => pool.stop(graceful)))
    for (const one of unused) if (this.kept.includes(one)) this.kept.splice(this.kept.indexOf(one), 1)
  }
}

/** What a process cannot change while it runs. */
function keyOf(settings: AppSettings, front: TaskPoolOptions['front']): string {
  const { name, directory, python, pythonPath, environment, user, group, umask } = settings
  return JSON.stringify([name, directory, python, pythonPath, environment, user, group, umask, front])
}
