// Responses that depend on fields of the request (Vary): the first one is kept under the key itself, the others each under
// a key of their own, made of the key and of what the request says in those fields (ngx_http_file_cache_vary).

import { hash } from 'node:crypto'
import type { HttpRequest } from '../request.ts'

/** A key's 16 bytes as a latin1 string. */
export function digestOf(text: string): string {
  return hash('md5', Buffer.from(text, 'latin1'), 'buffer').toString('latin1')
}

export function hexOf(id: string): string {
  return Buffer.from(id, 'latin1').toString('hex')
}

/** @param id of the key; @param vary names, separated by commas and blanks */
export function variantOf(r: HttpRequest, id: string, vary: string): string {
  let text = id
  for (const name of vary.toLowerCase().split(/[ ,]+/)) {
    if (name === '') continue
    text += `${name}:${normalized(r, name)}\r\n`
  }
  return digestOf(text)
}

/** All fields of that name as one list, without needless blanks and commas. */
function normalized(r: HttpRequest, name: string): string {
  const { names, values, count } = r.head
  const items: string[] = []
  for (let i = 0; i < count; i++) {
    if (names[i] !== name) continue
    for (const item of values[i]!.split(',')) {
      const trimmed = item.trim()
      if (trimmed !== '') items.push(trimmed)
    }
  }
  return items.join()
}
