// Path patterns as the C library's glob() reads them in the C locale: `*`, `?`, `[…]` and `\` within one part of a path,
// hidden names only where the dot is written, results in byte order.

import { lstatSync, readdirSync, statSync } from 'node:fs'

export function hasWildcards(path: string): boolean {
  return /[*?[]/.test(path)
}

/** The existing paths that match the absolute pattern. */
export function glob(pattern: string): string[] {
  const parts = pattern.split('/')
  let found = [parts[0]!]
  for (let i = 1; i < parts.length; i++) {
    const last = i === parts.length - 1
    found = found.flatMap(folder => step(folder, parts[i]!, last))
  }
  return found.sort(byBytes)
}

/** What one part of the pattern leads to from one folder. */
function step(folder: string, part: string, last: boolean): string[] {
  if (!hasWildcards(part)) {
    const path = `${folder}/${part.replace(/\\([^])/g, '$1')}`
    return part === '' || exists(path, last) ? [path] : []
  }
  const matcher = compile(part)
  return namesIn(folder === '' ? '/' : folder)
    .filter(name => (name[0] !== '.' || part[0] === '.') && matcher.test(name))
    .map(name => `${folder}/${name}`)
    .filter(path => last || exists(path, false))
}

/** Between slashes only folders count; at the end a dangling link does, too. */
function exists(path: string, last: boolean): boolean {
  const name = Buffer.from(path, 'latin1')
  try {
    return last ? lstatSync(name, { throwIfNoEntry: false }) !== undefined : statSync(name).isDirectory()
  } catch {
    return false // Unreadable is unmatched: glob() passes over errors.
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(Buffer.from(folder, 'latin1'), 'latin1')
  } catch {
    return []
  }
}

function compile(part: string): RegExp {
  let source = ''
  for (let i = 0; i < part.length; i++) {
    const c = part[i]!
    if (c === '*') source += '[^]*'
    else if (c === '?') source += '[^]'
    else if (c === '\\' && i + 1 < part.length) source += literal(part[++i]!)
    else if (c === '[') {
      const end = endOfSet(part, i)
      source += end === -1 ? literal(c) : set(part.slice(i + 1, end))
      if (end !== -1) i = end
    } else source += literal(c)
  }
  return new RegExp(`^${source}$`)
}

/** A `]` that comes first belongs to the set; a set that is never closed is no set (-1). */
function endOfSet(part: string, open: number): number {
  const first = part[open + 1] === '!' || part[open + 1] === '^' ? open + 2 : open + 1
  return part.indexOf(']', first + 1)
}

function set(content: string): string {
  const negated = content[0] === '!' || content[0] === '^'
  const members = negated ? content.slice(1) : content
  let source = ''
  for (let i = 0; i < members.length; i++) {
    const from = members[i]!
    const to = members[i + 1] === '-' ? members[i + 2] : undefined
    if (to === undefined) source += literal(from)
    else {
      i += 2
      if (from <= to) source += `${literal(from)}-${literal(to)}` // A range that runs backwards holds nothing.
    }
  }
  if (source === '') return negated ? '[^]' : '(?!)'
  return negated ? `[^${source}]` : `[${source}]`
}

function literal(c: string): string {
  return `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
