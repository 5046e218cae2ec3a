// Who `portico serve` runs as, and whose its Unix sockets are.

import { chmodSync, chownSync, existsSync, readFileSync } from 'node:fs'
import type { CommandLine } from '../app/settings/command-line.ts'
import { within } from '../app/settings/configuration.ts'
import type { Surroundings } from '../app/settings/configuration.ts'
import { UsageError } from '../app/settings/setting.ts'
import { findGroup, findUser } from '../process/users.ts'

/** Root's own applications run as root: Gunicorn does so, and they may have files that nobody else can read. */
export function userOf({ settings }: CommandLine): Surroundings['user'] {
  const { user, group } = settings
  if (process.geteuid?.() !== 0) {
    if (isAnother('user', user, process.geteuid?.()) || isAnother('group', group, process.getegid?.())) {
      throw new UsageError(`${user === null ? '--group' : '--user'} needs the rights of root`)
    }
    return null
  }
  const name = nameOf('passwd', user ?? '0', '--user')
  const gid = user === null ? 0 : findUser(name)!.gid
  return { name, group: nameOf('group', group ?? `${gid}`, '--group') }
}

function isAnother(kind: 'user' | 'group', wanted: string | null, own: number | undefined): boolean {
  if (wanted === null) return false
  const database = kind === 'user' ? 'passwd' : 'group'
  return nameOf(database, wanted, `--${kind}`) !== nameOf(database, `${own}`, `--${kind}`)
}

/** A user or group given by its name or its number, which need not have a name. */
function nameOf(database: 'passwd' | 'group', word: string, flag: string): string {
  const known = database === 'group' ? findGroup(word) : findUser(word)
  if (known !== null) return word
  for (const line of readFileSync(`/etc/${database}`, 'utf8').split('\n')) {
    const [name, , number] = line.split(':')
    if (number === word) return name!
  }
  if (/^\d{1,10}$/.test(word)) return `#${word}`
  throw new UsageError(`invalid value "${word}" for ${flag}: there is no such ${flag.slice(2)}`)
}

/** Unix sockets belong to the user, and are open to whom `umask` leaves them open. A supervisor's stay as they are. */
export function ownSockets(
  { settings: { umask, user, group } }: CommandLine,
  around: Surroundings,
  given: ReadonlyMap<string, number>,
): void {
  for (const address of around.addresses) {
    if (address.type !== 'unix') continue
    const path = within(around.folder, address.path)
    // One that was bound before a reload may have been removed by somebody.
    if (given.has(`unix:${path}`) || !existsSync(path)) continue
    if (umask !== null) chmodSync(path, 0o777 & ~umask)
    if (around.user === null || (user === null && group === null)) continue
    chownSync(path, findUser(around.user.name)!.uid, findGroup(around.user.group)!)
  }
}
