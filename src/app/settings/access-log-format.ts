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
  T: '$request_time_s',
  M: '$request_time_ms',
  D: '$request_time_us',
  L: '$request_time_precise',
  p: '<$app_worker>',
}

/** Variables of the environ that the front knows: `{NAME}e`. */
const ENVIRON: Readonly<Record<string, string>> = {
  request_method: '$request_method',
  query_string: '$args',
  raw_uri: '$request_uri',
  path_info: '$uri',
  server_protocol: '$server_protocol',
  server_name: '$host',
  server_port: '$server_port',
  remote_addr: '$remote_addr',
  remote_port: '$remote_port',
  content_type: '$content_type',
  content_length: '$content_length',
}

/** Throws SettingError for what nginx's format has no words for. */
export function logFormatOf(format: string): string {
  if (/[$\0]/.test(format)) throw new SettingError('a "$" cannot be logged')
  const written = format.replaceAll(/%(?:%|\(([^)]*)\)([a-z])|)/gi, (whole, atom: string | undefined, type: string) => {
    if (whole === '%%') return '%'
    if (atom === undefined) throw new SettingError('"%" must be followed by "(" or "%"')
    if (type !== 's') throw new SettingError(`"${whole}" is not supported: atoms end in "s"`)
    return `${ATOMS[atom] ?? field(atom) ?? unknown(whole)}\0`
  })
  // What follows must not be taken for a part of the name.
  return written.replaceAll(/\$([a-z_]+)\0(?=[A-Za-z0-9_])/g, '${$1}').replaceAll('\0', '')
}

/** Variables of requests and responses that may lack them, as in `$http_referer`. */
const OPTIONAL = /\$(\{?)((?:sent_)?http_\w+|remote_user|content_type|content_length|app_worker)\b/g

export interface EscapedFormat {
  readonly format: string
  /** The variables that stand with "logged_" before their names: with "-" where they are empty. */
  readonly dashed: readonly string[]
}

/**
 * For `log_format … escape=json`: a quote in a value becomes `\"`, as Gunicorn writes it, so that lines of JSON stay JSON. What is
 * not there would be empty then, where Gunicorn has "-".
 */
export function escapedFormat(format: string): EscapedFormat {
  const dashed = new Set<string>()
  const written = logFormatOf(format).replaceAll(OPTIONAL, (_, brace: string, name: string) => {
    dashed.add(name)
    return `$${brace}logged_${name}`
  })
  return { format: written, dashed: [...dashed] }
}

/** `{name}i`, a field of the request, `{name}o`, one of the response, and `{NAME}e`, a variable of the environ. */
function field(atom: string): string | null {
  const match = /^\{([A-Za-z0-9_.-]+)\}([ioe])$/.exec(atom)
  if (match === null) return null
  const lower = match[1]!.toLowerCase()
  if (match[2] === 'e') return lower.startsWith('http_') ? `\${${lower}}` : (ENVIRON[lower] ?? null)
  if (!/^[a-z0-9-]+$/.test(lower)) return null
  const name = lower.replaceAll('-', '_')
  return match[2] === 'i' ? `\${http_${name}}` : `\${sent_http_${name}}`
}

function unknown(atom: string): never {
  throw new SettingError(`"${atom}" is not supported`)
}
