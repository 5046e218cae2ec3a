// crypt(3) by itself: the hashes that password files hold. Slow on purpose; not for an event loop.

import { bcrypt } from './bcrypt.ts'
import { desCrypt } from './des-crypt.ts'
import { md5Crypt } from './md5-crypt.ts'
import { shaCrypt } from './sha-crypt.ts'

/** The password's hash in the way of an existing one; null for a way not known here (yescrypt and the like). */
export function crypt(password: Buffer, setting: string): string | null {
  if (setting.startsWith('$1$') || setting.startsWith('$apr1$')) return md5Crypt(password, setting)
  if (setting.startsWith('$5$') || setting.startsWith('$6$')) return shaCrypt(password, setting)
  if (setting.startsWith('$2')) return bcrypt(password, setting)
  return setting.startsWith('$') || setting.startsWith('_') ? null : desCrypt(password, setting)
}
