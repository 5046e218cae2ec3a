// The Priority field (RFC 9218, 4): only its urgency means anything to us.

const DEFAULT_URGENCY = 3

/** `u=1, i` → 1. */
export function urgencyOf(value: string): number {
  const found = /(?:^|[,\s])u=([0-7])(?=$|[,;\s])/.exec(value)
  return found === null ? DEFAULT_URGENCY : Number(found[1])
}
