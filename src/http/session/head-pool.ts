// Request heads that no connection uses at the moment: an idle connection owns none.

import { RequestHead } from '../../codec/h1/request-head.ts'

const SPARE_MAX = 256
const spare: RequestHead[] = []

export function takeHead(): RequestHead {
  return spare.pop() ?? new RequestHead()
}

/** Lets go of the head's strings. Nobody may look at it any more. */
export function returnHead(head: RequestHead): void {
  if (spare.length >= SPARE_MAX) return
  head.release()
  spare.push(head)
}
