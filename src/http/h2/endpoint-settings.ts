// What a server's HTTP/2 connections tell their clients in SETTINGS (RFC 9113, 6.5.2), and what they take from them.

import {
  DEFAULT_FRAME_SIZE,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
  MAX_HEADER_LIST_SIZE,
  WINDOW_MAX,
} from '../../codec/h2/constants.ts'
import type { EndpointSettings } from '../../codec/h2/endpoint.ts'
import type { ServerRuntime } from '../runtime.ts'

/** nginx takes long frames from everybody; we from clients that have no settings of their own. */
const LAX_FRAME_MAX = 131072

const settingsOf = new WeakMap<ServerRuntime, EndpointSettings>()

/** Made once for each server. */
export function settingsFor(server: ServerRuntime): EndpointSettings {
  let settings = settingsOf.get(server)
  if (settings === undefined) {
    const { http2, limits } = server
    const { frameMax, headerListMax } = http2
    const announced = [MAX_CONCURRENT_STREAMS, http2.concurrentStreams, INITIAL_WINDOW_SIZE, http2.prereadSize]
    if (frameMax !== DEFAULT_FRAME_SIZE) announced.push(MAX_FRAME_SIZE, frameMax)
    if (headerListMax > 0) announced.push(MAX_HEADER_LIST_SIZE, headerListMax)
    settings = {
      role: 'server',
      laxFrameMax: LAX_FRAME_MAX,
      announced,
      connectionWindow: WINDOW_MAX,
      fieldsMax: headerListMax || limits.headMax,
      overflows: headerListMax > 0,
      stringMax: limits.fieldMax,
      tableMax: 0,
    }
    settingsOf.set(server, settings)
  }
  return settings
}
