// Local time as logs show it, put together once a second.

let second = -1
let common = ''
let iso = ''

/** `21/Nov/2026:04:30:00 +0100`, as in the common log format. */
export function commonLogTime(): string {
  refresh()
  return common
}

/** `2026-11-21T04:30:00+01:00`. */
export function isoLogTime(): string {
  refresh()
  return iso
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

function refresh(): void {
  const now = Math.floor(Date.now() / 1000)
  if (now === second) return
  second = now
  const t = new Date(now * 1000)
  const clock = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`
  const offset = -t.getTimezoneOffset()
  const sign = offset < 0 ? '-' : '+'
  const [hours, minutes] = [two(Math.floor(Math.abs(offset) / 60)), two(Math.abs(offset) % 60)]
  common = `${two(t.getDate())}/${MONTHS[t.getMonth()]}/${t.getFullYear()}:${clock} ${sign}${hours}${minutes}`
  iso = `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}T${clock}${sign}${hours}:${minutes}`
}

function two(n: number): string {
  return n < 10 ? `0${n}` : `${n}`
}
