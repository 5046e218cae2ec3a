// What the head parsers fill in. One object per connection side, reused: all fields are set on every parse.

/** Limits of a request head, from large_client_header_buffers, client_header_buffer_size and max_headers. */
export interface HeadLimits {
  /** Bytes of the request line. Beyond: 414. */
  readonly lineMax: number
  /** Bytes of one header field. Beyond: 494 (nginx's own code, sent as 400). */
  readonly fieldMax: number
  /** Bytes of the whole head. Beyond: 494. */
  readonly headMax: number
  /** Number of header fields. Beyond: 400. */
  readonly fieldsMax: number
  /** underscores_in_headers: a name with `_` is an invalid name when false. */
  readonly underscores: boolean
  /** ignore_invalid_headers: fields with invalid names are dropped when true, else 400. */
  readonly ignoreInvalid: boolean
}

// Bits of lenient_requests. A field that goes on in the next line (RFC 9112, 5.2); blanks before a field's colon (5.1).
export const FOLDING = 1
export const HEADER_SPACES = 2
/** Methods of any token, and versions of any two digits. */
export const ODD_METHOD = 4
export const ODD_VERSION = 8
/** Methods in small letters are those in capitals. */
export const CASEFOLD_METHOD = 16

/** What a request's head is held to besides. */
export interface RequestLimits extends HeadLimits {
  /** strict_requests: nothing is forgiven that RFC 9112 does not ask a server to accept. */
  readonly strict: boolean
  /** require_host: HTTP/1.1 needs a Host field, which must not be empty. */
  readonly hostRequired: boolean
  /** raw_requests: methods, targets and codings are for the application to judge. */
  readonly raw: boolean
  /** lenient_requests: what is taken though it is wrong, as bits. */
  readonly lenient: number
}

/** Where the limits come from of the server that a request names. */
export interface NamedServers {
  serverFor(host: string): { readonly limits: RequestLimits }
}

/** Answers of the parsers besides "bytes consumed": more bytes are wanted, or the message is refused. */
export const MORE = 0

export const NO_LENGTH = -1
