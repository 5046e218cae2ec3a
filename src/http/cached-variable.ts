// A variable whose value is found once in a request and kept, as nginx keeps every variable that is not volatile: a map
// looked at in `rewrite` says the same in the log, whatever has happened to its source.

import { Slot, type Variable } from './module.ts'
import type { HttpRequest } from './request.ts'

type Kept = (string | null | undefined)[]

const values = new Slot<Kept>('subrequests')
let count = 0

export function cachedVariable(get: (r: HttpRequest) => string | null): Variable {
  const index = count++
  return {
    get(r) {
      const kept = keptBy(r)
      const known = kept[index]
      if (known !== undefined) return known
      const value = get(r)
      kept[index] = value
      return value
    },
    set(r, value) {
      keptBy(r)[index] = value
    },
  }
}

function keptBy(r: HttpRequest): Kept {
  let kept = values.get(r)
  if (kept === null) {
    kept = []
    values.set(r, kept)
  }
  return kept
}

/** `$name` of a directive that makes a variable, without the `$` and in lower case. */
export function variableName(word: string, at: { fail(problem: string): never }): string {
  if (!/^\$./s.test(word)) at.fail(`invalid variable name "${word}"`)
  return word.slice(1).toLowerCase()
}
