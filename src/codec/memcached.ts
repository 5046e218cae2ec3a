// memcached's text protocol, as far as `get` goes: one key asked for, and the line that answers.

/** Spaces, `%` and controls would end a key or the line: they are percent-encoded. */
export function escapeKey(key: string): string {
  // oxlint-disable-next-line no-control-regex
  return key.replace(/[\0- %]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

export function getRequest(key: string): string {
  return `get ${key}\r\n`
}

/** Behind a value. */
export const TRAILER = '\r\nEND\r\n'

export interface ValueLine {
  readonly flags: number
  readonly length: number
}

/** `VALUE KEY FLAGS LENGTH`, null for `END` (there is no such key); a string tells what is wrong. */
export function parseLine(line: string, key: string): ValueLine | null | string {
  if (line === 'END') return null
  const found = /^VALUE (.*)$/.exec(line)
  if (found === null) return `memcached sent invalid response: "${line}"`
  const rest = found[1]!
  const problem = (what: string): string => `memcached sent invalid ${what} in response "${line}" for key "${key}"`
  if (!rest.startsWith(key)) return problem('key')
  const [before, flags, length, ...more] = rest.slice(key.length).split(' ')
  if (before !== '' || length === undefined) return `memcached sent invalid response: "${line}"`
  if (!/^\d{1,10}$/.test(flags!)) return problem('flags')
  if (!/^\d{1,15}$/.test(length) || more.length > 0) return problem('length')
  return { flags: Number(flags), length: Number(length) }
}
