// `sticky` in an app block: requests that belong together go to the same worker, for applications of kind node that keep a session
// in the memory of one process. What binds them is a cookie that we set, or a text that tells clients apart.
//
// Workers are told apart by their places (app/pool/roster.ts): who takes over from a worker takes over its clients, and nobody
// else's go elsewhere.

import type { Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import type { GroupKey, Sticky } from '../../upstream/group.ts'
import type { HttpSetup } from '../setup.ts'
import { readCookie } from '../upstream/sticky-directive.ts'

export interface Stickiness {
  /** What is hashed; null: nothing is. */
  readonly key: GroupKey | null
  readonly cookie: Sticky | null
}

/** Makes it once the http block is known. */
export type StickinessMaker = (http: HttpSetup, app: string) => Stickiness

export const NOT_STICKY: Stickiness = { key: null, cookie: null }

export function parseSticky([how, ...words]: readonly string[], at: Site): StickinessMaker {
  if (how === 'cookie') {
    const cookie = readCookie(words, at)
    return (http, app) => ({ key: null, cookie: cookie(http, app) })
  }
  const example = 'as in sticky cookie worker path=/, or sticky hash $remote_addr'
  if (how !== 'hash') return at.fail(`unknown parameter "${how}"`, example)
  const [text = ''] = words
  if (words.length !== 1 || text === '') return at.fail('"sticky hash" takes one text', example)
  const key = Template.parse(text, at)
  if (key.constant !== null) at.fail(`"sticky hash ${text}" is the same for all clients`, example)
  return http => ({ key: http.value(key), cookie: null })
}
