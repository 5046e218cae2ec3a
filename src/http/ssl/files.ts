// Files that ssl_* directives name: texts of certificates and keys, passwords.

import type { Directive, Site } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import type { DataFile } from '../../config/source.ts'
import { one } from '../../config/values.ts'

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

export interface PasswordFile {
  readonly path: string
  readonly site: Site
}

export function passwordFile(contexts: number): Directive<PasswordFile | null> {
  return one<PasswordFile | null>(contexts, null, (word, at) => {
    const file = { path: at.confPath(word), site: at }
    at.scope.checks.push(block => readPasswords(file, path => block.readData(path)))
    return file
  })
}

/** One password a line. */
export function readPasswords(file: PasswordFile | null, read: Read): string[] {
  if (file === null) return []
  const { text, error, errno } = read(file.path)
  if (error !== '') file.site.fail(`open() "${file.path}" failed (${errno}: ${error})`)
  return text
    .split('\n')
    .map(line => line.replace(/\r$/, ''))
    .filter(line => line !== '')
}
