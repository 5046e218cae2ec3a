// A stale response is served at once and fetched anew behind the client's back (cache_background_update).

import type { HttpRequest } from '../request.ts'
import { bareLocation, cloneSubrequest, DroppedOutput, outlive } from '../subrequest.ts'
import type { CacheLookup } from './lookup.ts'

/**
 * The request for the new one, to be started when the client has been served. It is made before that: head and body of a
 * request are given away with its end. Null: there is none.
 */
export function backgroundUpdate({ x: { r } }: CacheLookup): HttpRequest | null {
  const sub = cloneSubrequest(r, bareLocation(r.location), new DroppedOutput(r, nobodyWaits))
  if (sub !== null) outlive(sub)
  return sub
}

function nobodyWaits(): void {}
