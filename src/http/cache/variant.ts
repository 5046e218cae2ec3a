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

/** Of these only the items count, not what stands between them (ngx_http_file_cache_vary_header). */
const LISTS = new Set(['accept-charset', 'accept-encoding', 'accept-language'])

/** All fields of that name as one list. */
function normalized(r: HttpRequest, name: string): string {
  const { names, values, count } = r.head
  const items: string[] = []
  for (let i = 0; i < count; i++) {
    if (names[i] !== name) continue
    if (LISTS.has(name)) items.push(...values[i]!.split(/[ ,]+/).filter(item => item !== ''))
    else items.push(values[i]!)
  }
  return items.join()
}
