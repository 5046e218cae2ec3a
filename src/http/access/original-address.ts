// Who is at the other end of the connection, once the client is somebody behind it: kept by whoever puts the client's
// address in a request, real_ip or app_forwarded. The first of them settles it, and whose word is taken is asked of this one.

import { Slot } from '../module.ts'

export interface OriginalAddress {
  readonly address: string
  readonly port: number
}

/** Null: the request's address is the connection's own. */
export const originalAddress = new Slot<OriginalAddress>('subrequests')
