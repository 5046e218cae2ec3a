// Whoever fetches a response that may be kept, as the cache sees it: an exchange with an upstream, or with an application.

import type { HttpRequest } from '../request.ts'
import type { EntryFields } from './entry-file.ts'
import type { CacheLookup } from './lookup.ts'

export interface Fetcher {
  readonly r: HttpRequest
  /** What is asked: a HEAD may become a GET. */
  method: string
  cache: CacheLookup | null
  /** Is the request's body sent on as it comes? */
  readonly isStreaming: boolean
  /** What the response is kept under where no key is configured. */
  readonly ownKey: string
  /** Bytes of the buffer that a kept response's beginning must fit into (proxy_buffer_size). */
  readonly headMax: number
  /** Bits of proxy_ignore_headers. */
  readonly ignored: number
  /** Where a response waits until it is whole. */
  readonly tempPath: string
  /** Ranges are served of what does not say that it has any. */
  readonly forcesRanges: boolean

  // The head of what was fetched.
  readonly status: number
  /** Status and reason, '' where there is no reason. */
  readonly statusText: string
  /** In lower case; '' for what holds for us alone. */
  readonly names: readonly string[]
  readonly values: readonly string[]
  /** The name as its sender spells it. */
  spelling(i: number): string

  /** Asks, now that the cache has nothing: for what has waited for another request's response. */
  proceed(): void
  /** The request is answered with an error page. */
  finalize(status: number): void
  /** Somebody else answers the request; what was asked is not heard any further. */
  letGo(): void
  /** Nobody wants the body that follows the head. `more`: bytes came that nobody asked for. */
  passOver(more: boolean): void
  /** Status and fields of a kept response go on the request. */
  takeKept(fields: EntryFields): void
}
