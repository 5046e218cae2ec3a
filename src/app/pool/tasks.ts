// An application's task processes (Gunicorn's "dirty arbiter" and its workers), as whoever controls the running program sees
// them (src/control). What runs them implements this; answers go out as they are, so their names are Gunicorn's.

/** A process that runs tasks. */
export interface TaskWorker {
  readonly pid: number
  /** The how many-th it is of all that were started. */
  readonly age: number
  /** What it has loaded, as `module:Class`. */
  readonly apps: readonly string[]
  readonly booted: boolean
  /** Seconds; null where there is no such thing. */
  readonly last_heartbeat: number | null
}

/** A class of tasks. */
export interface TaskApp {
  readonly import_path: string
  /** In how many processes it is loaded at most; null: in all. */
  readonly worker_count: number | null
  readonly current_workers: number
  readonly worker_pids: readonly number[]
}

export interface TasksShown {
  /** Of the process that runs the others. */
  readonly pid: number
  readonly workers: readonly TaskWorker[]
  readonly apps: readonly TaskApp[]
}

/** What became of a wish for more or fewer processes. */
export type TaskChange =
  | {
      readonly success: true
      readonly operation: 'add' | 'remove'
      readonly requested: number
      readonly spawned?: number
      readonly removed?: number
      /** Why nothing was spawned. */
      readonly reason?: string
      readonly total_workers: number
      readonly target_workers: number
    }
  | { readonly success: false; readonly error: string }

export interface Tasks {
  /** Null: none run. */
  show(): TasksShown | null
  /** @param count 1 or more */
  add(count: number): Promise<TaskChange>
  remove(count: number): Promise<TaskChange>
}
