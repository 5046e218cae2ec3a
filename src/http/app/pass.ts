// What app_pass and its relatives come to for one location.

import type { CacheSettings } from '../cache/settings.ts'
import type { BufferLimits } from '../response-buffer.ts'
import type { Application } from './application.ts'
import type { SetHeader } from './set-header.ts'

export interface AppPass {
  readonly app: Application
  readonly buffering: boolean
  /** Does a worker get a request only when its body is complete? */
  readonly requestBuffering: boolean
  readonly limits: BufferLimits
  /** What we say in place of the client. */
  readonly headers: readonly SetHeader[]
  /** Where the application is mounted, unless a trusted peer says otherwise; '' for the root. */
  readonly scriptName: string
  /** Do we do what the X-Accel- fields say? Else they are for an nginx before us. */
  readonly accel: boolean
  /** Times are told to the client in a Server-Timing field. */
  readonly serverTiming: boolean
  /** Clients that offer it get compressed messages. */
  readonly webSocketCompression: boolean
  /** Fields of a response that no client gets, in lower case; null: none. */
  readonly hidden: ReadonlySet<string> | null
  /** Fields that we do nothing about (app_ignore_headers), as bits. */
  readonly ignored: number
  /** Responses of 300 and more are replaced where error_page names a page for them. */
  readonly interceptErrors: boolean
  /** Null: nothing is kept. */
  readonly cache: CacheSettings | null
  /** What we say in place of the client where the response is to be kept. */
  readonly cachingHeaders: readonly SetHeader[]
}
