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

const VALUE = 'VALUE '

/**
 * `VALUE KEY FLAGS LENGTH`, null for `END` (there is no such key); a string tells what is wrong.
 * @param readsFlags otherwise they are 0, whatever stands in their place
 */
export function parseLine(line: string, key: string, readsFlags: boolean): ValueLine | null | string {
  if (line === 'END') return null
  const problem = (what: string): string => `memcached sent invalid ${what} in response "${line}" for key "${key}"`
  if (!line.startsWith(VALUE)) return `memcached sent invalid response: "${line}"`
  if (!line.startsWith(key, VALUE.length)) return problem('key')
  const start = VALUE.length + key.length + 1
  const end = line.indexOf(' ', start)
  if (line[start - 1] !== ' ' || end === -1) return `memcached sent invalid response: "${line}"`
  const flags = line.slice(start, end)
  if (readsFlags && !/^\d{1,15}$/.test(flags)) return problem('flags')
  const length = line.slice(end + 1)
  if (!/^\d{1,15}$/.test(length)) return problem('length')
  return { flags: readsFlags ? Number(flags) : 0, length: Number(length) }
}
