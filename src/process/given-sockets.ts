// The form in which a process is told of listening sockets that are open already (inheritance.ts reads it): those of the master it
// is to replace, or those a supervisor has opened.

export const INHERITANCE = 'PORTICO_SOCKETS'

export interface GivenSockets {
  /** Who left them; 0: a supervisor, which is no master. */
  readonly master: number
  /** Addresses' keys. */
  readonly keys: readonly string[]
  /** Somebody else's: the files of Unix sockets stay when this program ends. */
  readonly kept: boolean
  /** Absent: they follow the standard streams, in the order of the keys. */
  readonly descriptors?: readonly number[]
}

/** For this very process, before inheritance.ts is loaded. */
export function takeSockets(sockets: ReadonlyMap<string, number>): void {
  if (sockets.size === 0) return
  const given: GivenSockets = { master: 0, keys: [...sockets.keys()], kept: true, descriptors: [...sockets.values()] }
  process.env[INHERITANCE] = JSON.stringify(given)
}
