// A compiled http block: frozen values and ready lists, as requests use them.

import type { RequestLimits } from '../codec/h1/head.ts'
import type { ErrorLog } from '../log/error-log.ts'
import type { ErrorPages } from './error-page.ts'
import type { Http2Settings } from './h2/directives.ts'
import type { LimitExcept } from './limit-except.ts'
import type { ProxyVersions } from './core/listen.ts'
import type { Filter, Value } from './module.ts'
import type { Step } from './phases.ts'
import type { Pattern } from './regex.ts'
import type { HttpRequest } from './request.ts'
import type { ServerTls } from './ssl/server-tls.ts'

export interface FilterEntry {
  readonly run: Filter<any>
  readonly conf: unknown
  /** Is it going to alter the body? null: never. */
  readonly alters: ((r: HttpRequest, conf: any) => boolean) | null
}

export interface LogEntry {
  /** LOGS_LATER: those behind it are called when something else has ended. */
  readonly run: (r: HttpRequest, conf: any) => unknown
  readonly conf: unknown
}

/** What the core itself reads of a location, as plain fields. Times in ms, sizes in bytes. */
export interface LocationRuntime {
  /** As written: '/static/', '' for a server's own level. */
  readonly name: string
  readonly modifier: string
  readonly steps: readonly Step[]
  readonly filters: readonly FilterEntry[]
  readonly logs: readonly LogEntry[]
  /** By LocationSlot.index. */
  readonly kept: readonly unknown[]
  errorLog: ErrorLog
  readonly internal: boolean
  /** Document root or alias, bound; `aliasLength` bytes of the URI are replaced by an alias, -1 for a root. */
  readonly root: Value
  readonly aliasLength: number
  readonly clientMaxBodySize: number
  readonly clientBodyBufferSize: number
  /** Every body goes to a file, which stays after `on`. */
  readonly clientBodyInFileOnly: 'off' | 'on' | 'clean'
  readonly clientBodyTempPath: string
  /** At which it is told that a body goes to a temporary file. */
  readonly tempFileLogLevel: number
  readonly clientBodyTimeout: number
  readonly sendTimeout: number
  readonly keepaliveTimeout: number
  /** So long an idle connection is left alone, whatever happens to the thread. */
  readonly keepaliveMinTimeout: number
  readonly keepaliveTime: number
  readonly keepaliveHeader: string
  readonly keepaliveRequests: number
  /** Bits of keepalive_disable. */
  readonly keepaliveDisable: number
  readonly lingeringClose: 'off' | 'on' | 'always'
  readonly lingeringTime: number
  readonly lingeringTimeout: number
  readonly resetTimedoutConnection: boolean
  readonly defaultType: string
  readonly types: ReadonlyMap<string, string>
  /** The Server field's line, and the name at the foot of error pages. */
  readonly serverTokens: string
  readonly product: string
  /** null: there are none. */
  readonly errorPages: ErrorPages | null
  readonly recursiveErrorPages: boolean
  readonly msiePadding: boolean
  readonly msieRefresh: boolean
  /** Requests with other methods than these are another location's; null: there is no limit_except. */
  readonly limitExcept: LimitExcept | null
  readonly logSubrequest: boolean
  /** May HTTP/1.1 responses of unknown length be chunked? Else the connection ends them. */
  readonly chunkedTransferEncoding: boolean
  /** May a head wait for what comes behind it? */
  readonly postponesOutput: boolean
  readonly absoluteRedirect: boolean
  readonly portInRedirect: boolean
  readonly serverNameInRedirect: boolean
}

export interface LocationFinder {
  /** The location for `r.uri`, null when there is none; that for the same URI with a slash when `r.redirect` was set. */
  find(r: HttpRequest): LocationRuntime | null
  /** The last find() had to give up. */
  readonly failed: boolean
  /** `@name`, null when there is none. */
  named(name: string): LocationRuntime | null
}

export interface ServerRuntime {
  /** First server_name, for logs and $server_name. */
  readonly name: string
  /** The level outside locations: post-read and server-rewrite steps, then find-config. */
  readonly outside: LocationRuntime
  /** Where in its steps the server-rewrite phase begins: an internal redirect goes on there. */
  readonly rewriteStart: number
  /** Where find-config stands in the server's steps. */
  readonly findConfig: number
  readonly locations: LocationFinder
  readonly limits: RequestLimits
  readonly clientHeaderTimeout: number
  readonly mergeSlashes: boolean
  /** Does it know what to do with CONNECT? */
  readonly tunnels: boolean
  readonly tls: ServerTls
  readonly http2: Http2Settings
}

/** One `listen` address with the servers that share it. */
export interface ListenRuntime {
  readonly address: string
  readonly defaultServer: ServerRuntime
  /** The server for a lower-case host without port. */
  serverFor(host: string): ServerRuntime
  /** As serverFor(), but null where nothing but the default is left. */
  serverNamed(host: string): ServerRuntime | null
  /** The regular expression that serverFor() has just found the server by, for its captures. */
  readonly matchedName: Pattern | null
  /** It has given up: nobody knows whose the name is. */
  readonly nameFailed: boolean
  /** Are heads read by other limits for one of its servers than for another? */
  readonly limitsDiffer: boolean
  readonly tcpNodelay: boolean
  /** Does every connection begin with a PROXY protocol header? */
  readonly proxyProtocol: boolean
  /** … or may it, of these versions? null: it does. */
  readonly proxyVersions: ProxyVersions | null
  /** Do clients speak uwsgi? */
  readonly uwsgi: boolean
  /** `ssl`: clients speak TLS. */
  readonly tls: boolean
  /** `http2`: so may they HTTP/2, whatever the server says. */
  readonly http2: boolean
}
