// Starting a process where it may not be possible: some reasons are thrown (ENOMEM), others come as an event (ENOENT).

import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'

/** @param failed hears why there is no process, after this has returned; it is not called for one that there was */
export function startChild(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
  failed: (error: NodeJS.ErrnoException) => void,
): ChildProcess | null {
  try {
    const child = spawn(program, args, options)
    // Errors of one that runs are of messages that could not be delivered: its exit tells what there is to tell.
    child.on('error', error => child.pid === undefined && failed(error))
    return child
  } catch (error) {
    setImmediate(failed, error as NodeJS.ErrnoException)
    return null
  }
}
