// The kernel keeps from process 1 of a container all signals that it has no handler for. Elsewhere those that end a program do so
// before it has any.

import { constants } from 'node:os'

const ENDINGS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const

/** The exit code of one that a signal has ended, as shells tell it. */
const SIGNALLED = 128

export const isFirstProcess = process.pid === 1

/** Until somebody else takes them (letGo). */
export function endOnSignals(): void {
  if (isFirstProcess) for (const name of ENDINGS) process.on(name, endBy)
}

export function letGo(): void {
  for (const name of ENDINGS) process.off(name, endBy)
}

/** As by the signal's default. */
export function endBy(signal: NodeJS.Signals): void {
  if (isFirstProcess) process.exit(SIGNALLED + constants.signals[signal])
  process.kill(process.pid, signal)
}
