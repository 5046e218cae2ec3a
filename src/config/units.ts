// Sizes, times and numbers as nginx writes them. Every reader answers null for what is none.
// nginx counts in 64 bits; what is valid there but beyond JavaScript's exact integers becomes the largest of them.

const MAX = 2n ** 63n - 1n

/** Digits and nothing else. */
export function parseNumber(text: string): number | null {
  return scaled(text, 1n)
}

/** Bytes, with `k` or `m`. */
export function parseSize(text: string): number | null {
  return withUnit(text, sizeUnits)
}

/** Bytes of something that may outgrow memory: `g` as well. */
export function parseOffset(text: string): number | null {
  return withUnit(text, offsetUnits)
}

const sizeUnits: Readonly<Record<string, bigint>> = { k: 1n << 10n, m: 1n << 20n }
const offsetUnits: Readonly<Record<string, bigint>> = { ...sizeUnits, g: 1n << 30n }

function withUnit(text: string, units: Readonly<Record<string, bigint>>): number | null {
  const unit = units[text.slice(-1).toLowerCase()]
  return unit === undefined ? scaled(text, 1n) : scaled(text.slice(0, -1), unit)
}

function scaled(digits: string, unit: bigint): number | null {
  return /^[0-9]+$/.test(digits) ? within(BigInt(digits) * unit) : null
}

function within(value: bigint): number | null {
  return value > MAX ? null : Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}

interface TimeUnit {
  /** Units must follow in this order, each once. */
  readonly rank: number
  readonly ms: bigint
}

const timeUnits: Readonly<Record<string, TimeUnit>> = {
  y: { rank: 1, ms: 31_536_000_000n },
  M: { rank: 2, ms: 2_592_000_000n },
  w: { rank: 3, ms: 604_800_000n },
  d: { rank: 4, ms: 86_400_000n },
  h: { rank: 5, ms: 3_600_000n },
  m: { rank: 6, ms: 60_000n },
  s: { rank: 7, ms: 1000n },
  ms: { rank: 8, ms: 1n },
}
const SECONDS = 7
const MILLISECONDS = 8
const BARE_AMONG_OTHERS = 9

/** `1h 30m`, in milliseconds. Weeks are the longest unit here, as nginx counts these in what used to be 32 bits. */
export function parseTime(text: string): number | null {
  return time(text, 2, MILLISECONDS, 1n)
}

/** `1y 6M`, in seconds; milliseconds cannot be written. */
export function parseSeconds(text: string): number | null {
  return time(text, 0, SECONDS, 1000n)
}

function time(text: string, rankBefore: number, rankMax: number, resultUnit: bigint): number | null {
  if (!/[0-9]/.test(text)) return null
  let rank = rankBefore
  let total = 0n
  let rest = text
  while (rest !== '') {
    // Digits may be missing before a unit (they count as 0), and a number without unit is seconds: at the end, or
    // before a blank.
    const [piece, digits, unit] = /^([0-9]*)(ms|[yMwdhms]| |$) */.exec(rest) ?? ['', '', undefined]
    if (unit === undefined) return null
    if (unit !== '') {
      const { rank: next, ms } = timeUnits[unit] ?? { rank: BARE_AMONG_OTHERS, ms: 1000n }
      if (next > rankMax && unit !== ' ') return null
      if (unit === ' ' ? rank >= SECONDS : next <= rank) return null
      rank = next
      total += BigInt(digits) * ms
    } else total += BigInt(digits) * 1000n
    rest = rest.slice(piece.length)
  }
  return within(total / resultUnit)
}
