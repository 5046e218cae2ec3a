// The fields of an application's response: which go on to the client, which the server takes for itself or writes itself, and
// what those say that are meant for an nginx.

import { parseLength } from '../../codec/h1/fields.ts'
import { parseNumber } from '../../config/units.ts'
import { setRate } from '../access/limit-rate.ts'
import { forcedCharset } from '../filters/forced-charset.ts'
import type { HttpRequest } from '../request.ts'
import {
  IGNORE_ACCEL_BUFFERING,
  IGNORE_ACCEL_CHARSET,
  IGNORE_ACCEL_LIMIT_RATE,
  IGNORE_ACCEL_REDIRECT,
} from '../upstream/settings.ts'
import type { AppPass } from './pass.ts'
import * as field from './fields.ts'
import { AppTrailers } from './trailers.ts'

/** Whose response it is. */
interface FieldTaker {
  readonly r: HttpRequest
  readonly pass: AppPass
  buffering: boolean
  /** X-Accel-Redirect. */
  redirect: string
}

/** What app_ignore_headers says about a kind of field. */
const IGNORE: Readonly<Record<number, number>> = {
  [field.ACCEL_REDIRECT]: IGNORE_ACCEL_REDIRECT,
  [field.ACCEL_BUFFERING]: IGNORE_ACCEL_BUFFERING,
  [field.ACCEL_CHARSET]: IGNORE_ACCEL_CHARSET,
  [field.ACCEL_LIMIT_RATE]: IGNORE_ACCEL_LIMIT_RATE,
}

/** @param fields the status line, then names and values in turn */
export function takeFields(x: FieldTaker, fields: readonly string[]): void {
  const { r } = x
  const { hidden } = x.pass
  for (let i = 1; i + 1 < fields.length; i += 2) {
    const name = fields[i]!
    if (hidden !== null && hidden.has(name.toLowerCase())) continue
    const value = field.bare(fields[i + 1]!)
    switch (field.kindOf(name)) {
      case field.OTHER:
        r.addHeader(name, value)
        break
      case field.CONTENT_TYPE:
        r.contentType = value
        break
      case field.CONTENT_LENGTH:
        r.contentLength = parseLength(value)
        break
      case field.LOCATION:
        // As with nginx's upstreams, a relative reference stays what it is.
        if (value.startsWith('/')) r.addHeader(name, value)
        else r.redirect = value
        break
      case field.LAST_MODIFIED:
        r.lastModified = value
        break
      case field.ETAG:
        r.etag = value
        break
      case field.TRAILER:
        if (r.version < 11 || r.parent !== null) break
        if (value !== '') r.addHeader(name, value)
        r.trailers ??= new AppTrailers()
        break
      default:
        takeAccel(x, field.kindOf(name), name, value)
    }
  }
}

/** What is meant for an nginx: for us, or for one before us. */
function takeAccel(x: FieldTaker, kind: number, name: string, value: string): void {
  const { r, pass } = x
  const bit = IGNORE[kind] ?? 0
  if (kind === field.ACCEL_BUFFERING && (pass.ignored & bit) === 0)
    x.buffering = x.buffering && value.toLowerCase() !== 'no'
  if (!pass.accel) {
    if (field.isAccel(kind)) r.addHeader(name, value)
  } else if ((pass.ignored & bit) !== 0) return
  else if (kind === field.ACCEL_REDIRECT) x.redirect = value
  else if (kind === field.ACCEL_CHARSET) forcedCharset.set(r, value)
  else if (kind === field.ACCEL_LIMIT_RATE) {
    const rate = parseNumber(value)
    if (rate !== null) setRate(r, rate)
  }
}
