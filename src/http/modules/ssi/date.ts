// $date_gmt and $date_local in the form that `config timefmt` asks for: strftime's conversions in the C locale.

export const DEFAULT_FORMAT = '%A, %d-%b-%Y %H:%M:%S %Z'

/** As much as nginx has room for; what is longer has no value. */
const LENGTH_MAX = 2047

const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')
const MONTHS = 'January February March April May June July August September October November December'.split(' ')

/** A moment as a calendar shows it. */
interface Calendar {
  readonly seconds: number
  readonly year: number
  readonly month: number
  readonly day: number
  readonly weekday: number
  readonly yearday: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  /** Minutes ahead of UTC. */
  readonly offset: number
  readonly zone: string
}

export function formatDate(format: string, seconds: number, gmt: boolean): string {
  if (format === '%s') return `${seconds}`
  const text = expand(format, gmt ? gmtCalendar(seconds) : localCalendar(seconds))
  return text.length > LENGTH_MAX ? '' : text
}

function gmtCalendar(seconds: number): Calendar {
  const t = new Date(seconds * 1000)
  return calendar(seconds, t, 0, 'GMT')
}

function localCalendar(seconds: number): Calendar {
  const now = new Date(seconds * 1000)
  const offset = -now.getTimezoneOffset()
  return calendar(seconds, new Date((seconds + offset * 60) * 1000), offset, zoneName(now))
}

/** @param t whose UTC fields show the wanted time */
function calendar(seconds: number, t: Date, offset: number, zone: string): Calendar {
  const year = t.getUTCFullYear()
  return {
    seconds,
    year,
    month: t.getUTCMonth(),
    day: t.getUTCDate(),
    weekday: t.getUTCDay(),
    yearday: Math.floor((t.getTime() - Date.UTC(year, 0, 1)) / 86_400_000),
    hour: t.getUTCHours(),
    minute: t.getUTCMinutes(),
    second: t.getUTCSeconds(),
    offset,
    zone,
  }
}

const zoneFormat = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })

function zoneName(t: Date): string {
  return zoneFormat.formatToParts(t).find(part => part.type === 'timeZoneName')?.value ?? ''
}

function expand(format: string, c: Calendar): string {
  return format.replace(/%[EO]?(.)/gs, (written, letter: string) => CONVERSIONS[letter]?.(c) ?? written)
}

const CONVERSIONS: Readonly<Record<string, (c: Calendar) => string>> = {
  a: c => DAYS[c.weekday]!.slice(0, 3),
  A: c => DAYS[c.weekday]!,
  b: c => MONTHS[c.month]!.slice(0, 3),
  B: c => MONTHS[c.month]!,
  c: c => expand('%a %b %e %H:%M:%S %Y', c),
  C: c => two(Math.floor(c.year / 100)),
  d: c => two(c.day),
  D: c => expand('%m/%d/%y', c),
  e: c => blank(c.day),
  F: c => expand('%Y-%m-%d', c),
  g: c => two(isoWeek(c).year % 100),
  G: c => `${isoWeek(c).year}`,
  h: c => MONTHS[c.month]!.slice(0, 3),
  H: c => two(c.hour),
  I: c => two(c.hour % 12 || 12),
  j: c => `${c.yearday + 1}`.padStart(3, '0'),
  k: c => blank(c.hour),
  l: c => blank(c.hour % 12 || 12),
  m: c => two(c.month + 1),
  M: c => two(c.minute),
  n: () => '\n',
  p: c => (c.hour < 12 ? 'AM' : 'PM'),
  P: c => (c.hour < 12 ? 'am' : 'pm'),
  r: c => expand('%I:%M:%S %p', c),
  R: c => expand('%H:%M', c),
  s: c => `${c.seconds}`,
  S: c => two(c.second),
  t: () => '\t',
  T: c => expand('%H:%M:%S', c),
  u: c => `${c.weekday || 7}`,
  U: c => two(Math.floor((c.yearday + 7 - c.weekday) / 7)),
  V: c => two(isoWeek(c).week),
  w: c => `${c.weekday}`,
  W: c => two(Math.floor((c.yearday + 7 - ((c.weekday + 6) % 7)) / 7)),
  x: c => expand('%m/%d/%y', c),
  X: c => expand('%H:%M:%S', c),
  y: c => two(c.year % 100),
  Y: c => `${c.year}`,
  z: c => `${c.offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(c.offset) / 60))}${two(Math.abs(c.offset) % 60)}`,
  Z: c => c.zone,
  '%': () => '%',
}

function two(n: number): string {
  return `${n}`.padStart(2, '0')
}

function blank(n: number): string {
  return `${n}`.padStart(2, ' ')
}

/** ISO 8601: the week belongs to the year its Thursday is in. */
function isoWeek(c: Calendar): { year: number; week: number } {
  const thursday = new Date(Date.UTC(c.year, c.month, c.day - ((c.weekday + 6) % 7) + 3))
  const year = thursday.getUTCFullYear()
  return { year, week: Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / 604_800_000) + 1 }
}
