// lenient_requests: what is made good of a head that is refused. scanFields() knows nothing of it, and is called again behind it.

import { FIELD_INVALID, FIELD_TOO_LONG, isBlank, kindsOf, SPAN, TEXT } from './fields.ts'
import { FOLDING, HEADER_SPACES, type RequestLimits } from './head.ts'
import type { RequestHead } from './request-head.ts'

const LF = 10
const CR = 13
const COLON = 58

/** What forgive() answers besides MORE (0), and FIELD_INVALID or FIELD_TOO_LONG where the head stays refused. */
export const FORGIVEN = 1

/** Looks at the line that was refused (head.badLine, head.badAt). */
export function forgive(head: RequestHead, bytes: Buffer, start: number, end: number, limits: RequestLimits): number {
  const line = start + head.badLine
  const at = start + head.badAt
  if (!isBlank(bytes[at]!)) return FIELD_INVALID
  if (at > line)
    return (limits.lenient & HEADER_SPACES) === 0 ? FIELD_INVALID : passBlanks(head, bytes, start, end, limits)
  if ((limits.lenient & FOLDING) === 0 || head.scanned === head.lineStop) return FIELD_INVALID
  return continueField(head, bytes, start, end, limits)
}

/** Blanks before a colon: the value is read behind it. */
function passBlanks(
  head: RequestHead,
  bytes: Buffer,
  start: number,
  end: number,
  { fieldMax, headMax }: RequestLimits,
): number {
  const nameEnd = start + head.badAt
  // They were passed already: it is the name that is refused.
  if (head.passedBlanks === head.badAt) return FIELD_INVALID
  const stop = Math.min(end, start + head.badLine + fieldMax, start + headMax)
  let i = nameEnd
  while (i < stop && isBlank(bytes[i]!)) i++
  if (i >= stop) return stop === end ? 0 : FIELD_TOO_LONG
  if (bytes[i] !== COLON) return FIELD_INVALID
  head.mark = i + 1 - start
  head.markName = head.badAt
  head.markOdd = kindsOf(bytes, start + head.badLine, nameEnd)
  head.passedBlanks = head.badAt
  head.bent = true
  return FORGIVEN
}

/** The line belongs to the field before it (RFC 9112, 5.2), which may have been left out. */
function continueField(
  head: RequestHead,
  bytes: Buffer,
  start: number,
  end: number,
  { fieldMax, headMax }: RequestLimits,
): number {
  const line = start + head.badLine
  const { spans } = head
  const field = (head.count - 1) * SPAN
  const belongs = head.count > 0 && isNext(bytes, start + spans[field + 4]!, line)
  const first = belongs ? start + spans[field + 1]! : line
  const stop = Math.min(end, first + fieldMax, start + headMax)
  let i = line
  while (i < stop && TEXT[bytes[i]!] === 1) i++
  const valueEnd = i
  if (i < stop && bytes[i] === CR) i++
  if (i >= stop) return stop === end ? 0 : FIELD_TOO_LONG
  if (bytes[i] !== LF || (head.crlfOnly && i === valueEnd)) return FIELD_INVALID
  if (belongs) {
    spans[field + 4] = valueEnd - start
    head.bent = true
  }
  head.scanned = i + 1 - start
  return FORGIVEN
}

/** Is there nothing between the value's end and the line but the end of a line? */
function isNext(bytes: Buffer, from: number, line: number): boolean {
  for (let i = from; i < line; i++) if (!isBlank(bytes[i]!) && bytes[i] !== CR && bytes[i] !== LF) return false
  return true
}

/** Names and values of a head that was forgiven, when takeFields() has made them. */
export function straighten(head: RequestHead): void {
  const { count, spans, text, values } = head
  for (let i = 0, at = 0; i < count; i++, at += SPAN) {
    const nameEnd = spans[at + 2]!
    if (text.charCodeAt(nameEnd) !== COLON) {
      spans[at + 3] =
        spans[at + 4]! - text.slice(text.indexOf(':', nameEnd) + 1, spans[at + 4]).replace(/^[ \t]+/, '').length
      values[i] = text.slice(spans[at + 3], spans[at + 4])
    }
    // Lines of one field make one value.
    if (values[i]!.includes('\n')) values[i] = values[i]!.replaceAll(/[ \t]*\r?\n[ \t]*/g, ' ').replaceAll(/^ | $/g, '')
  }
}
