// The master that is to replace this one: the program started anew, with the listening sockets of this one. Both serve until
// one of them is told to go. It is nobody's child for long: when this process ends, it goes on.

import type { SpawnOptions } from 'node:child_process'
import { constants } from 'node:os'
import { INHERITANCE } from './given-sockets.ts'
import { written } from './inheritance.ts'
import { startChild } from './start-child.ts'
import { reason } from './system-error.ts'

/** A program and its arguments. */
export interface Command {
  readonly program: string
  readonly args: readonly string[]
  /** Absent: where this process is. */
  readonly folder?: string
}

export class Successor {
  readonly pid: number

  /** @param onExit called once, with words for the log; `orderly`: by itself, though it may be for a mistake it has told of */
  constructor(
    { program, args, folder }: Command,
    sockets: ReadonlyMap<string, number>,
    onExit: (how: string, orderly: boolean) => void,
  ) {
    const failed = (error: unknown): void => onExit(`could not be started ("${program}": ${reason(error)})`, false)
    const options: SpawnOptions = {
      stdio: ['ignore', 'inherit', 'inherit', ...sockets.values()],
      cwd: folder,
      env: { ...process.env, [INHERITANCE]: written([...sockets.keys()]) },
    }
    const child = startChild(program, args, options, failed)
    this.pid = child?.pid ?? 0
    child?.once('exit', (code, signal) => {
      const how = signal === null ? `exited with code ${code}` : `exited on signal ${constants.signals[signal]}`
      onExit(how, signal === null)
    })
  }
}
