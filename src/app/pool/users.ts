// The numbers of a user and a group named in the configuration.

import { findGroup, findUser } from '../../process/users.ts'
import type { Ids } from './socket-directory.ts'

/** Throws an Error worded for the log when there is no such user or group. '' for the group: the user's own. */
export function lookUp(user: string, group: string): Ids {
  const found = findUser(user)
  const uid = /^\d+$/.test(user) ? Number(user) : found?.uid
  if (uid === undefined) throw new Error(`user "${user}" does not exist`)
  if (group === '') return { uid, gid: found?.gid ?? uid }
  const gid = /^\d+$/.test(group) ? Number(group) : findGroup(group)
  if (gid === null) throw new Error(`group "${group}" does not exist`)
  return { uid, gid }
}
