// Which content codings a client takes (RFC 9110, 12.5.3), read as nginx reads it: a coding must be named to be wanted, and
// one with a parameter other than `q` is not taken for named.

const patterns = new Map<string, RegExp>()

/** How much the client wants the coding, from 0 (not at all) to 1. */
export function codingQuality(accepted: string | null, coding: string): number {
  if (accepted === null) return 0
  if (accepted === coding || (accepted.startsWith(coding) && accepted.charCodeAt(coding.length) === COMMA)) return 1
  const [whole, quality] = patternOf(coding).exec(accepted) ?? []
  if (whole === undefined) return 0
  return quality === undefined ? 1 : Number(quality)
}

const COMMA = 44

function patternOf(coding: string): RegExp {
  let pattern = patterns.get(coding)
  if (pattern === undefined) {
    pattern = new RegExp(`(?:^|[, ])${coding} *(?:; *q=(0(?:\\.[0-9]{0,3})?|1(?:\\.0{0,3})?) *)?(?:,|$)`, 'i')
    patterns.set(coding, pattern)
  }
  return pattern
}
