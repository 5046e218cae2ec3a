// Gunicorn's access_log_format as nginx's log_format: `%(h)s` becomes `$remote_addr`.

import { SettingError } from './setting.ts'

const ATOMS: Readonly<Record<string, string>> = {
  h: '$remote_addr',
  l: '-',
  u: '$remote_user',
  t: '[$time_local]',
  r: '$request',
  m: '$request_method',
  U: '$uri',
  q: '$args',
  H: '$server_protocol',
  s: '$status',
  b: '$body_bytes_sent',
  B: '$body_bytes_sent',
  f: '$http_referer',
  a: '$http_user_agent',
  L: '$request_time',
}

/** Throws SettingError for what nginx's format has no words for. */
export function logFormatOf(format: string): string {
  if (format.includes('$')) throw new SettingError('a "$" cannot be logged')
  return format.replaceAll(/%(?:%|\(([^)]*)\)([a-z])|)/gi, (whole, atom: string | undefined, type: string) => {
    if (whole === '%%') return '%'
    if (atom === undefined) throw new SettingError('"%" must be followed by "(" or "%"')
    if (type !== 's') throw new SettingError(`"${whole}" is not supported: atoms end in "s"`)
    return ATOMS[atom] ?? field(atom) ?? unknown(whole)
  })
}

/** `{name}i`, a field of the request, and `{name}o`, one of the response. */
function field(atom: string): string | null {
  const match = /^\{([A-Za-z0-9-]+)\}([io])$/.exec(atom)
  if (match === null) return null
  const name = match[1]!.toLowerCase().replaceAll('-', '_')
  return match[2] === 'i' ? `\${http_${name}}` : `\${sent_http_${name}}`
}

function unknown(atom: string): never {
  throw new SettingError(`"${atom}" is not supported`)
}
