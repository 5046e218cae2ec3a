// Values in rewrite rules. Captures in them are percent-encoded again where they go into arguments, into a redirect or, by
// an old habit of nginx's, into variables: but only if the client's URI was encoded (ngx_http_script_copy_capture_code).

import { escapeUri } from '../../../codec/h1/uri.ts'
import { Template, type TemplatePart } from '../../../config/template.ts'
import { captures } from '../../regex.ts'
import type { LocationBuilder, Value } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'

export class Text {
  private readonly parts: readonly (string | number | Value)[]

  constructor(parts: readonly TemplatePart[], template: Template, at: LocationBuilder) {
    this.parts = parts.map(part => {
      if (typeof part === 'string') return part
      if (/^[1-9]$/.test(part.variable)) return Number(part.variable)
      return at.value(Template.parse(`\${${part.variable}}`, template.place))
    })
  }

  get(r: HttpRequest, escapes: boolean): string {
    let text = ''
    for (let i = 0; i < this.parts.length; i++) {
      const part = this.parts[i]!
      if (typeof part === 'string') text += part
      else if (typeof part !== 'number') text += part.get(r)
      else {
        const captured = captures.get(r)?.[part] ?? ''
        text += escapes && wasEncoded(r) ? escapeUri(captured, 'args') : captured
      }
    }
    return text
  }
}

/** Has the client's path percent-encoded or `+` characters (nginx's quoted_uri and plus_in_uri)? */
function wasEncoded(r: HttpRequest): boolean {
  const { path } = r.head
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i)
    if (c === 37 || c === 43) return true
    if (c === 63 || c === 35) return false
  }
  return false
}

/** The parts before the first `?` and those behind it, null if there is none. */
export function splitAtArgs(template: Template): { path: TemplatePart[]; args: TemplatePart[] | null } {
  const path: TemplatePart[] = []
  let args: TemplatePart[] | null = null
  for (const part of template.parts) {
    const mark: number = args === null && typeof part === 'string' ? part.indexOf('?') : -1
    if (mark < 0) (args ?? path).push(part)
    else {
      const text = part as string
      if (mark > 0) path.push(text.slice(0, mark))
      args = mark + 1 < text.length ? [text.slice(mark + 1)] : []
    }
  }
  return { path, args }
}

const HEX = /^[0-9A-Fa-f]$/

/** Decodes what need not be encoded in a Location, up to its arguments (ngx_unescape_uri for redirects). */
export function unescapeRedirect(text: string): string {
  if (!text.includes('%')) return text
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i)
    if (c === '?') return out + text.slice(i)
    if (c !== '%') {
      out += c
      continue
    }
    // A `%` before what is no number goes; a number's first digit without a second goes with the character after it.
    const first = text.charAt(++i)
    if (!HEX.test(first)) {
      out += first
      continue
    }
    const second = text.charAt(++i)
    if (!HEX.test(second)) continue
    const byte = parseInt(first + second, 16)
    if (byte === 63 && !/[0-9]/.test(second)) return `${out}?${text.slice(i + 1)}`
    out += byte > 37 && byte < 127 ? String.fromCharCode(byte) : `%${first}${second}`
  }
  return out
}
