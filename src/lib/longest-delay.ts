// The longest time that setTimeout() takes, in ms: 24 days. What is longer would be over at once, and "for ever" is a sensible
// thing to ask for in a configuration.

export const LONGEST_DELAY = 2 ** 31 - 1

export function delay(ms: number): number {
  return Math.min(ms, LONGEST_DELAY)
}
