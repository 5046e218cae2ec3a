// `user:password` lines of auth_basic_user_file. A file is looked at (stat) for every request and read when it has
// changed.

import { readFileSync, statSync } from 'node:fs'

/** The stored password by user name, both as written (latin1). */
export type Users = ReadonlyMap<string, string>

interface Known {
  readonly stamp: string
  readonly users: Users
}

const FILES_MAX = 64
const known = new Map<string, Known>()

/** Throws what the system says of the file. */
export function readUsers(path: string): Users {
  const name = Buffer.from(path, 'latin1')
  const { ino, size, mtimeMs, ctimeMs } = statSync(name)
  const stamp = `${ino} ${size} ${mtimeMs} ${ctimeMs}`
  const before = known.get(path)
  if (before !== undefined && before.stamp === stamp) return before.users
  const users = parseUsers(readFileSync(name, 'latin1'))
  if (known.size >= FILES_MAX) known.clear()
  known.set(path, { stamp, users })
  return users
}

/** The first line of a name counts; a password ends at the next colon, behind which comments may stand. */
export function parseUsers(text: string): Users {
  const users = new Map<string, string>()
  for (const line of text.split('\n')) {
    if (line.startsWith('#') || line.startsWith('\r')) continue
    const colon = line.indexOf(':')
    if (colon < 1) continue
    const user = line.slice(0, colon)
    const stored = /^[^:\r]*/.exec(line.slice(colon + 1))![0]
    if (!users.has(user)) users.set(user, stored)
  }
  return users
}
