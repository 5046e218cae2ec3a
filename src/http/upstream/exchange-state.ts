// What an exchange with an upstream (exchange.ts) has found out so far, for all who have a part in it.

import { monotonic } from '../../lib/clock.ts'
import { Choice } from '../../upstream/group.ts'
import type { Group } from '../../upstream/group.ts'
import type { PeerConnection } from '../../upstream/peer-connection.ts'
import type { PeerTls } from '../../upstream/peer-tls.ts'
import type { CacheLookup } from '../cache/lookup.ts'
import type { CachedResponse } from '../cache/stored-response.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { ResponseBuffer } from '../response-buffer.ts'
import type { Attempt } from './attempt.ts'
import type { UpstreamProtocol } from './protocol.ts'
import type { ReadRate } from './read-rate.ts'
import type { UpstreamSettings } from './settings.ts'
import type { StoredResponse } from './store.ts'
import type { StreamedBody } from './streamed-body.ts'

// How far it is.
export const PREPARING = 0
export const CONNECTING = 1
/** The request is on its way, or its response has not begun. */
export const ASKING = 2
export const RELAYING = 3
export const TUNNELLING = 4
export const OVER = 5

const NO_NAMES: readonly string[] = []

/** One shape for all exchanges: every field is set here. */
export abstract class ExchangeState {
  readonly r: HttpRequest
  readonly protocol: UpstreamProtocol
  readonly settings: UpstreamSettings
  /** The protocol's own configuration, and for the pool: whose connections may be shared. */
  readonly conf: unknown
  readonly group: Group
  readonly choice: Choice
  /** ms the next attempt has waited in the group's queue. */
  queueMs = -1
  state = PREPARING

  // The request.
  /** What is asked of the upstream, for its request line and for logs. */
  uri = ''
  method: string
  /** Made at the first attempt: the head, and behind it what proxy_set_body says. */
  head: string | null = null
  /** Does the client's body follow the head, and how far has it gone? */
  sendsBody = false
  bodyAt = 0
  streamed: StreamedBody | null = null
  /** What proxy_set_body says, where it is not a part of the head. */
  ownBody: Buffer | null = null
  bodySent = false
  requestSent = false

  // The connection.
  /** How TLS is spoken on it; null: in plain text. */
  tls: PeerTls | null = null
  /** Its name, where that is to be found anew for each peer ($upstream_last_server_name). */
  tlsName: Value | null = null
  link: PeerConnection | null = null
  /** It had carried other requests before. */
  cached = false
  attempts: Attempt[]
  attempt: Attempt | null = null
  /** When it began to choose, for proxy_next_upstream_timeout; a whole number of ms. */
  startedAt: number

  /** What the cache has for the request; null: it has nothing to do with it. */
  cache: CacheLookup | null = null

  // The response's head, as the protocol has found it.
  problem = ''
  status = 0
  statusText = ''
  names: readonly string[] = NO_NAMES
  values: readonly string[] = NO_NAMES
  contentLength = -1
  chunked = false
  reusable = false
  upgrade = false
  interims = 0
  /** It is an X-Accel-Redirect: of its fields those count that go on with what is answered instead, hidden or not. */
  leadsWithin = false
  /** Bytes of 103 heads so far. */
  hintsLength = 0
  /** Response bytes received while the head is not complete. */
  partial: Buffer | null = null

  // The response's body.
  buffering: boolean
  buffer: ResponseBuffer | null = null
  /** What is being read came with the head, and is not buffered. */
  preread = false
  bodyLeft = -1
  bodyDone = false
  /** Behind it, names and values in turn. */
  trailers: readonly string[] = NO_NAMES
  /** It is kept as a file, too. */
  stored: StoredResponse | CachedResponse | null = null
  /** How fast it may be read, null for no limit. */
  readRate: ReadRate | null = null
  /** The client does not take more. */
  held = false
  /** A piece found in the chunk at hand that has not gone on yet: so that the last one is known to be the last. */
  chunk: Buffer | null = null
  pieceStart = 0
  pieceEnd = 0

  /** @param attempts what became of the request before an internal redirect */
  constructor(
    r: HttpRequest,
    protocol: UpstreamProtocol,
    settings: UpstreamSettings,
    conf: unknown,
    group: Group,
    attempts: Attempt[],
  ) {
    this.r = r
    this.protocol = protocol
    this.settings = settings
    this.conf = conf
    this.group = group
    const key = group.key === null ? '' : group.key.get(r)
    this.choice = new Choice(group, r.clientAddress, settings.nextUpstreamTries, key)
    this.method = r.method
    this.buffering = settings.buffering
    this.startedAt = Math.floor(monotonic())
    this.attempts = attempts
  }

  /** The parser of the connection in use. */
  get reader(): unknown {
    return this.link!.reader
  }
  set reader(parser: unknown) {
    this.link!.reader = parser
  }
}
