// Files that ssl_* directives name: texts of certificates and keys, passwords.

import { ConfigError } from '../../config/errors.ts'
import type { DataFile } from '../../config/source.ts'

export type Read = (path: string) => DataFile

/** Its text. Throws ConfigError in nginx's words, which `words` puts around the problem. */
export function readFile(path: string, read: Read, words: (problem: string) => string): string {
  if (path.startsWith('data:')) return path.slice(5)
  const { text, error, errno } = read(path)
  if (error === '') return text
  const number = (0x80000000 + errno).toString(16).toUpperCase()
  const missing =
    errno === 2 ? ' error:10000080:BIO routines::no such file' : ' error:10080002:BIO routines::system lib'
  throw new ConfigError(words(`(SSL: error:${number}:system library::${error}:calling fopen(${path}, r)${missing})`))
}

/** One password a line. */
export function readPasswords(path: string | null, read: Read): string[] {
  if (path === null) return []
  const { text, error, errno } = read(path)
  if (error !== '') throw new ConfigError(`open() "${path}" failed (${errno}: ${error})`)
  return text
    .split('\n')
    .map(line => line.replace(/\r$/, ''))
    .filter(line => line !== '')
}
