// Values that `set` and named captures give to a request's variables: an array, in the order the names came up.

import { Slot } from './module.ts'
import type { HttpRequest } from './request.ts'

const values = new Slot<(string | undefined)[]>('subrequests')
const names: string[] = []

export function valueIndex(name: string): number {
  const known = names.indexOf(name)
  return known >= 0 ? known : names.push(name) - 1
}

/** undefined: nothing has given it a value. */
export function readValue(r: HttpRequest, index: number): string | undefined {
  return values.get(r)?.[index]
}

export function writeValue(r: HttpRequest, index: number, value: string): void {
  const all = values.get(r)
  if (all !== null) all[index] = value
  else {
    const fresh: (string | undefined)[] = []
    fresh[index] = value
    values.set(r, fresh)
  }
}
