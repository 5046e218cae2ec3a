// How a pool comes by its workers: through a zygote that forks them (zygote.ts), or as a process each (node-workers.ts).
// A pool gives commands; what happens is reported through SpawnerEvents. A worker is named by its slot until its pid is known.

/** Where what an application prints goes: where our own output goes, or a descriptor. */
export type Output = 'inherit' | number

export interface SpawnerEvents {
  /** The application is loaded, or need not be before a worker starts: forks may be asked for. */
  ready(about: string): void
  /** The application cannot be loaded. `ended` follows. */
  failed(error: string, traceback: string): void
  /** The process is there, and loads what there is to load. */
  forked(slot: number, pid: number): void
  /** A worker listens: on one path, or with threads on one for each. */
  worker(slot: number, pid: number, paths: readonly string[]): void
  /** A worker could not load the application; `exited` follows. */
  workerFailed(slot: number, pid: number, error: string, traceback: string): void
  /** `signal` 0: it left by itself with `status`. */
  exited(slot: number, pid: number, status: number, signal: number): void
  /** A file of the application has changed, and it was asked to tell. */
  changed(file: string): void
  /** A hook has ended the whole server. */
  halted?(code: number, reason: string): void
  /** Everything has ended, and nothing more will be reported. */
  ended(how: string): void
  log(level: number, message: string): void
}

export interface Spawner {
  /** Of what loads the application for all workers; 0: they load it themselves. */
  readonly pid: number
  start(): void
  /** @param age the how many-th worker of all */
  fork(slot: number, age: number): void
  /** Hangs: what it was doing to the log if that can be had, then the end of it. */
  abort(pid: number): void
  /** Calls `hangs` unless the worker answers soon; where it cannot be asked, never. */
  ask(pid: number, hangs: () => void): void
  kill(pid: number): void
  /** Asks a worker nobody is connected to any more to finish and go. */
  leave(pid: number): void
  /** It has not gone, though no request may take so long: it has graceful_timeout to break off what lasts, and is then killed. */
  end(pid: number): void
  /** What only hooks of a configuration file want to know. */
  tell?(command: object): void
  /** Ends all workers, after what they serve or at once; `ended` tells when. `final`: the whole server ends. */
  stop(graceful: boolean, final: boolean): void
  /** The last resort. */
  destroy(): void
}
