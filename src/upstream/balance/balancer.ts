// A way to choose among peers. It sees one level at a time (the servers, then the backups) and has no state of its own:
// weights and counts are the peers', whom this request has tried is the Choice's.

import type { Choice } from '../group.ts'
import type { Peer } from '../peer.ts'

export interface Balancer {
  /** The directive's name. */
  readonly name: string
  /** It chooses among backups too from the first on; else that one is found by round robin. */
  readonly ranksBackups?: boolean
  /** The moment of a session that it wants to be told of by headCame(), if it is not a response's head. */
  readonly moment?: 'connect' | 'first_byte'
  /** Among the peers for which choice.mayTry() holds; null if there is none. */
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null
  /** The request goes to that peer. */
  chosen?(choice: Choice, peer: Peer): void
  /** The response's head has come, or that moment, after so many ms. */
  headCame?(choice: Choice, peer: Peer, ms: number): void
  /** The attempt is over after so many ms. */
  released?(choice: Choice, peer: Peer, ms: number): void
}
