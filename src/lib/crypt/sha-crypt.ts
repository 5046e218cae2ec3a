// crypt(3)'s `$5$` (SHA-256) and `$6$` (SHA-512), after Ulrich Drepper's specification; the steps are numbered as there.

import { hash } from 'node:crypto'
import { digits, groups } from './digits.ts'

const ROUNDS_DEFAULT = 5000
const ROUNDS_MIN = 1000
const ROUNDS_MAX = 999_999_999
const SALT_MAX = 16

/** Groups of three bytes: 0, n and 2n, each group turned by one place and one further on than the last. */
function turning(count: number, step: number, leftwards: boolean): [number, number, number][] {
  return Array.from({ length: count }, (_, i) => {
    const bytes = [i, i + step, i + 2 * step]
    const turn = leftwards ? i % 3 : (3 - (i % 3)) % 3
    return [0, 1, 2].map(k => bytes[(k + turn) % 3]!) as [number, number, number]
  })
}

const SHA256 = { name: 'sha256', size: 32, order: turning(10, 10, false) }
const SHA512 = { name: 'sha512', size: 64, order: turning(21, 21, true) }

/** @param setting `$5$[rounds=N$]salt` or `$6$…`, with anything behind another `$` */
export function shaCrypt(password: Buffer, setting: string): string {
  const kind = setting.startsWith('$5$') ? SHA256 : SHA512
  const custom = /^rounds=(\d+)\$/.exec(setting.slice(3))
  const rounds = custom === null ? ROUNDS_DEFAULT : Math.min(ROUNDS_MAX, Math.max(ROUNDS_MIN, Number(custom[1])))
  const saltText = setting
    .slice(3 + (custom?.[0].length ?? 0))
    .split('$')[0]!
    .slice(0, SALT_MAX)
  const digest = stretch(kind.name, kind.size, password, Buffer.from(saltText, 'latin1'), rounds)
  const prefix = `${setting.slice(0, 3)}${custom === null ? '' : `rounds=${rounds}$`}${saltText}$`
  const tail = kind === SHA256 ? digits((digest[31]! << 8) | digest[30]!, 3) : digits(digest[63]!, 2)
  return prefix + groups(digest, kind.order) + tail
}

function stretch(name: string, size: number, password: Buffer, salt: Buffer, rounds: number): Buffer {
  const sha = (parts: readonly Buffer[]): Buffer => hash(name, Buffer.concat(parts), 'buffer')
  // 4–8
  const b = sha([password, salt, password])
  // 1–3, 9–12
  const parts = [password, salt, filled(b, password.length)]
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? b : password)
  const a = sha(parts)
  // 13–16
  const p = filled(sha(repeated(password, password.length)), password.length)
  // 17–20
  const s = filled(sha(repeated(salt, 16 + a[0]!)), salt.length)
  // 21
  let c = a
  const scratch = Buffer.alloc(size + 2 * p.length + s.length)
  for (let i = 0; i < rounds; i++) {
    const odd = (i & 1) === 1
    let at = (odd ? p : c).copy(scratch)
    if (i % 3 !== 0) at += s.copy(scratch, at)
    if (i % 7 !== 0) at += p.copy(scratch, at)
    at += (odd ? c : p).copy(scratch, at)
    c = hash(name, scratch.subarray(0, at), 'buffer')
  }
  return c
}

function repeated(piece: Buffer, times: number): Buffer[] {
  return Array.from({ length: times }, () => piece)
}

/** `length` bytes made of the digest, again and again. */
function filled(digest: Buffer, length: number): Buffer {
  return Buffer.alloc(length, digest)
}
