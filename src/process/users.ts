// Users and groups by name. The files are looked at first, since that takes no process; `getent` knows every other source
// the system has (NSS). `#1001` is a number that has no name: `portico serve` takes it as Gunicorn does, in containers above all.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The user's number, and its own group's. Null: there is none of that name. */
export function findUser(name: string): { readonly uid: number; readonly gid: number } | null {
  const number = nameless(name)
  if (number !== null) return { uid: number, gid: number }
  const fields = entry('passwd', name)
  return fields === null ? null : { uid: Number(fields[2]), gid: Number(fields[3]) }
}

/** The group's number. Null: there is none of that name. */
export function findGroup(name: string): number | null {
  const number = nameless(name)
  if (number !== null) return number
  const fields = entry('group', name)
  return fields === null ? null : Number(fields[2])
}

/** Null for a name. */
export function nameless(name: string): number | null {
  return /^#\d{1,10}$/.test(name) ? Number(name.slice(1)) : null
}

function entry(database: 'passwd' | 'group', name: string): string[] | null {
  return among(readDatabase(database), name) ?? among(ask(database, name), name)
}

function among(lines: string, name: string): string[] | null {
  for (const line of lines.split('\n')) {
    const fields = line.split(':')
    if (fields[0] === name && fields.length >= 4) return fields
  }
  return null
}

function readDatabase(database: string): string {
  try {
    return readFileSync(`/etc/${database}`, 'latin1')
  } catch {
    return '' // The other sources may do without it.
  }
}

function ask(database: string, name: string): string {
  try {
    return execFileSync('getent', [database, name], { encoding: 'latin1', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return '' // No such name, or no such program: unknown either way.
  }
}
