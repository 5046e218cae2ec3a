// `sticky` in an app block: requests that belong together go to the same worker, for applications that keep a session in the
// memory of one process and serve many requests at a time there. What binds them is a cookie that we set, a text that tells clients
// apart, or a session that we have seen a worker begin.
//
// Workers are told apart by their places (app/pool/roster.ts): who takes over from a worker takes over its clients, and nobody
// else's go elsewhere.

import { crc32 } from 'node:zlib'
import type { Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import type { GroupKey, Sticky } from '../../upstream/group.ts'
import { type Bond, NEWCOMER } from '../../app/dispatch/bond.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup } from '../setup.ts'
import { readCookie, readLearn } from '../upstream/sticky-directive.ts'

export interface Stickiness {
  /** What is hashed; null: nothing is. */
  readonly key: GroupKey | null
  readonly sticky: Sticky | null
}

/** Makes it once the http block is known. */
export type StickinessMaker = (http: HttpSetup, app: string) => Stickiness

export const NOT_STICKY: Stickiness = { key: null, sticky: null }

export function parseSticky([how, ...words]: readonly string[], at: Site): StickinessMaker {
  if (how === 'cookie' || how === 'learn') {
    const make = how === 'cookie' ? readCookie(words, at) : readLearn(words, at)
    return (http, app) => ({ key: null, sticky: make(http, app) })
  }
  const example = 'as in sticky cookie worker path=/, or sticky hash $remote_addr'
  if (how !== 'hash') return at.fail(`unknown parameter "${how}"`, example)
  const [text = ''] = words
  if (words.length !== 1 || text === '') return at.fail('"sticky hash" takes one text', example)
  const key = Template.parse(text, at)
  if (key.constant !== null) at.fail(`"sticky hash ${text}" is the same for all clients`, example)
  return http => ({ key: http.value(key), sticky: null })
}

/** For Python's workers, to which a Dispatcher gives requests; Node's are peers of a group. Null: any may have it, it does not matter which. */
export function bondOf({ key, sticky }: Stickiness, r: HttpRequest): Bond | null {
  if (key !== null) {
    const text = key.get(r)
    return text === '' ? null : { place: -1, hash: crc32(text) }
  }
  const hint = sticky === null ? '' : sticky.hint(r)
  return /^\d{1,5}$/.test(hint) ? { place: Number(hint), hash: 0 } : NEWCOMER
}
