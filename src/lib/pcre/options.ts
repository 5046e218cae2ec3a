// The options that a pattern switches within itself: `(?i)`, `(?^s-x:…)`.

import type { Cursor } from './class.ts'

/** By their letters, as pcre2pattern(3) has them. */
export interface Options {
  readonly i: boolean
  readonly m: boolean
  readonly s: boolean
  readonly x: boolean
  readonly n: boolean
  readonly U: boolean
}

export function initialOptions(caseless: boolean): Options {
  return { i: caseless, m: false, s: false, x: false, n: false, U: false }
}

/** Behind `(?`, up to the `)` or `:`, which is left unread. @param outer those in force, which are changed */
export function readOptions(cursor: Cursor, outer: Options): Options {
  const options: Record<keyof Options, boolean> = { ...outer }
  if (cursor.skip('^')) Object.assign(options, { i: false, m: false, s: false, x: false, n: false })
  let value = true
  for (; ; cursor.at++) {
    const c = cursor.next
    if (c === '') cursor.fail('missing closing parenthesis')
    if (c === ')' || c === ':') return options
    if (c === '-' && value) value = false
    else if (c in options) options[c as keyof Options] = value
    else cursor.fail('unrecognized character after (? or (?-')
  }
}
