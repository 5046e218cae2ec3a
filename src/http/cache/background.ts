// A stale response is served at once and fetched anew behind the client's back (cache_background_update).

import { bareLocation, cloneSubrequest, DroppedOutput, startInBackground } from '../subrequest.ts'
import type { CacheLookup } from './lookup.ts'

/** The claim on the key is the background's from here on. */
export function updateInBackground({ x, zone, id }: CacheLookup): void {
  const { r } = x
  const sub = cloneSubrequest(r, bareLocation(r.location), new DroppedOutput(r, nobodyWaits))
  if (sub === null) zone.release(id)
  else startInBackground(sub)
}

function nobodyWaits(): void {}
