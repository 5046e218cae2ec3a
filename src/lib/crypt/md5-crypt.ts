// crypt(3)'s `$1$`, and Apache's `$apr1$`, which differs in that name alone: MD5 a thousand times over.

import { hash } from 'node:crypto'
import { digits, groups } from './digits.ts'

const ROUNDS = 1000
const SALT_MAX = 8
const ORDER = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
] as const

const md5 = (...parts: readonly Buffer[]): Buffer => hash('md5', Buffer.concat(parts), 'buffer')

/** @param setting `$1$salt` or `$apr1$salt`, with anything behind another `$` */
export function md5Crypt(password: Buffer, setting: string): string {
  const magic = setting.startsWith('$apr1$') ? '$apr1$' : '$1$'
  const saltText = setting.slice(magic.length).split('$')[0]!.slice(0, SALT_MAX)
  const salt = Buffer.from(saltText, 'latin1')
  let digest = first(password, Buffer.from(magic), salt)
  for (let i = 0; i < ROUNDS; i++) {
    const odd = (i & 1) === 1
    const parts = [odd ? password : digest]
    if (i % 3 !== 0) parts.push(salt)
    if (i % 7 !== 0) parts.push(password)
    parts.push(odd ? digest : password)
    digest = md5(...parts)
  }
  return `${magic}${saltText}$${groups(digest, ORDER)}${digits(digest[11]!, 2)}`
}

function first(password: Buffer, magic: Buffer, salt: Buffer): Buffer {
  const inner = md5(password, salt, password)
  const parts = [password, magic, salt]
  for (let left = password.length; left > 0; left -= 16) parts.push(inner.subarray(0, Math.min(16, left)))
  const zero = Buffer.alloc(1)
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? zero : password.subarray(0, 1))
  return md5(...parts)
}
