// HTTP/2 as a server has it configured (ngx_http_v2_module).

import { HTTP, LOCATION, SERVER, type Directive, type Scope } from '../../config/directive.ts'
import { flag, number, size } from '../../config/values.ts'
import { DEFAULT_FRAME_SIZE, FRAME_SIZE_MAX, WINDOW_MAX } from '../../codec/h2/constants.ts'
import { among, peerAddresses, type Peers } from '../access/peers.ts'
import { LocationSlot } from '../module.ts'

const everywhere = HTTP | SERVER | LOCATION

const prereadSize = limited(
  size(HTTP | SERVER, 65536),
  WINDOW_MAX,
  'the maximum body preread buffer size is 2147483647',
)

/** nginx takes 0 and too large ones for the next number that can be. */
const chunkSize: Directive<number> = {
  ...size(everywhere, 8192),
  parse(args, at, soFar) {
    const value = size(everywhere, 8192).parse(args, at, soFar)
    if (value === 0) at.fail('the http2 chunk size cannot be zero')
    return Math.min(value, 0xffffff)
  },
}

const frameSize: Directive<number> = {
  ...size(HTTP | SERVER, DEFAULT_FRAME_SIZE),
  parse(args, at, soFar) {
    const value = size(HTTP | SERVER, DEFAULT_FRAME_SIZE).parse(args, at, soFar)
    if (value >= DEFAULT_FRAME_SIZE && value <= FRAME_SIZE_MAX) return value
    return at.fail(`the http2 frame size must be between ${DEFAULT_FRAME_SIZE} and ${FRAME_SIZE_MAX}`)
  },
}

export const http2Directives = {
  http2: flag(HTTP | SERVER, false),
  http2_max_concurrent_streams: number(HTTP | SERVER, 128),
  http2_body_preread_size: prereadSize,
  http2_chunk_size: chunkSize,
  // What nginx leaves at what HTTP/2 begins with.
  http2_cleartext_from: peerAddresses(HTTP | SERVER),
  http2_max_frame_size: frameSize,
  http2_max_header_list_size: size(HTTP | SERVER, 0),
}

function limited(form: Directive<number>, max: number, problem: string): Directive<number> {
  return {
    ...form,
    parse(args, at, soFar) {
      const value = form.parse(args, at, soFar)
      return value > max ? at.fail(problem) : value
    },
  }
}

/** A server's part. */
export interface Http2Settings {
  readonly enabled: boolean
  readonly concurrentStreams: number
  /** Bytes of a body that may come before anybody wants them: a stream's initial window. */
  readonly prereadSize: number
  /** Who may speak it without TLS; null: everybody. */
  readonly cleartextFrom: Peers | null
  /** The longest frame it takes. */
  readonly frameMax: number
  /** The largest head, by RFC 9113, 6.5.2, which is told; 0: nothing is told, and the limits of heads hold alone. */
  readonly headerListMax: number
}

export function compileServerHttp2(scope: Scope): Http2Settings {
  const conf = scope.conf(http2Directives)
  return {
    enabled: conf.http2,
    concurrentStreams: conf.http2_max_concurrent_streams,
    prereadSize: Math.max(conf.http2_body_preread_size, 0),
    cleartextFrom: conf.http2_cleartext_from === null ? null : among(conf.http2_cleartext_from),
    frameMax: conf.http2_max_frame_size,
    headerListMax: conf.http2_max_header_list_size,
  }
}

/** Longest DATA frame of a location's responses, where it is not the usual. */
export const chunkSizes = new LocationSlot<number>()
export const CHUNK_SIZE = 8192
