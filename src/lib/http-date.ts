// Dates in header fields (RFC 9110, 5.6.7): written in the one preferred form, read in all three, as forgiving as nginx's
// ngx_parse_http_time: the day's name is not looked at, only how it is followed.

/** What parseHttpDate answers for something that is no date. */
export const NO_DATE = -1

/** `Sun, 06 Nov 1994 08:49:37 GMT` of seconds since 1970. */
export function formatHttpDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString()
}

/** Read in any case: caches of other makes take AUG for good, nginx among them. */
const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ')
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)'
const MONTH = `(${MONTHS.join('|')})`
/** Sun, 06 Nov 1994 08:49:37 GMT */
const IMF = new RegExp(`^[^, ]*, *(\\d\\d) ${MONTH} (\\d{4}) ${TIME}`, 'i')
/** Sunday, 06-Nov-94 08:49:37 GMT */
const RFC_850 = new RegExp(`^[^, ]*, *(\\d\\d)-${MONTH}-(\\d\\d) ${TIME}`, 'i')
/** Sun Nov  6 08:49:37 1994 */
const ASCTIME = new RegExp(`^[^, ]* +${MONTH} ( ?\\d|\\d\\d) ${TIME} (\\d{4})`, 'i')

/** Seconds since 1970, or NO_DATE. */
export function parseHttpDate(text: string): number {
  const imf = IMF.exec(text)
  if (imf !== null) return seconds(Number(imf[3]), imf[2]!, Number(imf[1]), imf[4]!, imf[5]!, imf[6]!)
  const old = RFC_850.exec(text)
  if (old !== null) return seconds(century(Number(old[3])), old[2]!, Number(old[1]), old[4]!, old[5]!, old[6]!)
  const c = ASCTIME.exec(text)
  if (c !== null) return seconds(Number(c[6]), c[1]!, Number(c[2]), c[3]!, c[4]!, c[5]!)
  return NO_DATE
}

function century(year: number): number {
  return year < 70 ? 2000 + year : 1900 + year
}

function seconds(year: number, month: string, day: number, h: string, m: string, s: string): number {
  const [hour, minute, second] = [Number(h), Number(m), Number(s)]
  const index = MONTHS.indexOf(month.toLowerCase())
  if (hour > 23 || minute > 59 || second > 59 || day === 0 || day > DAYS[index]!) return NO_DATE
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (index === 1 && day === 29 && !leap) return NO_DATE
  const time = Date.UTC(year, index, day, hour, minute, second) / 1000
  // Before 1970 nothing was last modified; negative numbers stand for "no date".
  return time < 0 ? NO_DATE : time
}
