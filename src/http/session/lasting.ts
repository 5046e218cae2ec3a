// Answers that have no end of their own, as events have none: by connection, how many of its requests have one. A thread that
// retires waits for all others, and then lets the applications know (cli/farewell.ts).

import type { HttpRequest } from '../request.ts'

const counts = new Map<number, number>()

/** The request's answer lasts until one of its sides ends it. */
export function answerLasts(r: HttpRequest): void {
  const { connectionNumber } = r.stream
  counts.set(connectionNumber, lastingOn(connectionNumber) + 1)
  r.onEnd(() => {
    const left = lastingOn(connectionNumber) - 1
    if (left > 0) counts.set(connectionNumber, left)
    else counts.delete(connectionNumber)
  })
}

export function lastingOn(connectionNumber: number): number {
  return counts.get(connectionNumber) ?? 0
}
