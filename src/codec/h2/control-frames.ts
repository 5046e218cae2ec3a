// The frames that are about a connection or a stream rather than part of a message (RFC 9113, 6.3 to 6.9; RFC 9218, 7.1).

import { latin1 } from '../h1/fields.ts'
import {
  ACK,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  GOAWAY,
  NO_ERROR,
  PING,
  PRIORITY,
  PRIORITY_UPDATE,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './constants.ts'
import type { Endpoint } from './endpoint.ts'
import { writePing, writeSettingsAck } from './frame-writer.ts'
import { CHEAP, DEAR } from './nuisance.ts'
import { urgencyOf } from './priority-field.ts'

/** @returns whether reading goes on */
export function onControlFrame(
  endpoint: Endpoint,
  type: number,
  flags: number,
  id: number,
  bytes: Buffer,
  start: number,
  end: number,
): boolean {
  switch (type) {
    case WINDOW_UPDATE:
      return onWindowUpdate(endpoint, id, bytes, start, end)
    case SETTINGS:
      return onSettings(endpoint, flags, id, bytes, start, end)
    case PING:
      return onPing(endpoint, flags, id, bytes, start, end)
    case RST_STREAM:
      return onReset(endpoint, id, bytes, start, end)
    case PRIORITY:
      return onPriority(endpoint, id, bytes, start, end)
    case PRIORITY_UPDATE:
      return onPriorityUpdate(endpoint, id, bytes, start, end)
    case GOAWAY:
      return onGoaway(endpoint, id, bytes, start, end)
    default:
      endpoint.owner.onUnknownFrame(type)
      return endpoint.tolerates(CHEAP)
  }
}

function onWindowUpdate(endpoint: Endpoint, id: number, bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== 4) return wrongLength(endpoint, 'WINDOW_UPDATE', end - start)
  const increment = bytes.readUInt32BE(start) & 0x7fffffff
  const stream = endpoint.streams.get(id)
  if (id === 0) {
    if (increment === 0)
      return endpoint.fail(PROTOCOL_ERROR, 'sent WINDOW_UPDATE frame with incorrect window increment 0')
    const { window } = endpoint.sender
    if (!endpoint.sender.grow(increment))
      return endpoint.fail(FLOW_CONTROL_ERROR, `violated connection flow control: ${tooMuch(increment, window)}`)
  } else if (stream === undefined) {
    if (endpoint.isIdle(id)) return idleStream(endpoint, 'WINDOW_UPDATE', id)
    return endpoint.tolerates(CHEAP)
  } else if (increment === 0)
    return endpoint.streamError(stream, PROTOCOL_ERROR, 'sent WINDOW_UPDATE frame with incorrect window increment 0')
  else {
    const window = stream.sendWindow
    if (!endpoint.sender.growStream(stream, increment))
      return endpoint.streamError(
        stream,
        FLOW_CONTROL_ERROR,
        `violated flow control for stream ${id}: ${tooMuch(increment, window)}`,
      )
  }
  return endpoint.tolerates(CHEAP)
}

function tooMuch(increment: number, window: number): string {
  return `received WINDOW_UPDATE frame with window increment ${increment} not allowed for window ${window}`
}

function onSettings(endpoint: Endpoint, flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
  if (id !== 0) return wrongStream(endpoint, 'SETTINGS')
  const length = end - start
  if ((flags & ACK) !== 0) {
    endpoint.settingsSeen = endpoint.settingsAcknowledged = true
    if (length === 0) return endpoint.tolerates(CHEAP)
    return endpoint.fail(FRAME_SIZE_ERROR, 'sent SETTINGS frame with the ACK flag and nonzero length')
  }
  if (length % 6 !== 0) return wrongLength(endpoint, 'SETTINGS', length)
  const { peer, sender } = endpoint
  const window = peer.initialWindow
  for (let at = start; at < end; at += 6) {
    const code = peer.take(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2), !endpoint.server)
    if (code !== NO_ERROR) return endpoint.fail(code, peer.error)
  }
  const change = peer.initialWindow - window
  if (change !== 0)
    for (const stream of endpoint.streams.values())
      if (!sender.growStream(stream, change))
        return endpoint.fail(FLOW_CONTROL_ERROR, 'violated flow control: window is too large')
  endpoint.encoder.limit(peer.tableSize)
  const first = !endpoint.settingsSeen
  endpoint.onGreeting()
  writeSettingsAck(endpoint.out)
  endpoint.owner.outputWaits()
  endpoint.owner.onSettings()
  // Each setting of a frame, and each stream whose window it moves, is work.
  return endpoint.tolerates(first ? 0 : DEAR + length / 6 + (change !== 0 ? endpoint.streams.size : 0))
}

function onPing(endpoint: Endpoint, flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
  if (id !== 0) return wrongStream(endpoint, 'PING')
  if (end - start !== 8) return wrongLength(endpoint, 'PING', end - start)
  if ((flags & ACK) !== 0) {
    endpoint.owner.onPong()
    return endpoint.tolerates(CHEAP)
  }
  writePing(endpoint.out, ACK, bytes, start)
  endpoint.owner.outputWaits()
  return endpoint.tolerates(DEAR)
}

function onReset(endpoint: Endpoint, id: number, bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== 4) return wrongLength(endpoint, 'RST_STREAM', end - start)
  if (id === 0) return wrongStream(endpoint, 'RST_STREAM')
  if (endpoint.isIdle(id)) return idleStream(endpoint, 'RST_STREAM', id)
  const stream = endpoint.streams.get(id)
  if (stream === undefined) return endpoint.tolerates(CHEAP)
  endpoint.close(stream)
  stream.onReset(bytes.readUInt32BE(start))
  return endpoint.tolerates(DEAR)
}

function onPriority(endpoint: Endpoint, id: number, bytes: Buffer, start: number, end: number): boolean {
  if (id === 0) return wrongStream(endpoint, 'PRIORITY')
  const stream = endpoint.streams.get(id)
  if (end - start !== 5) {
    if (stream === undefined) return wrongLength(endpoint, 'PRIORITY', end - start)
    return endpoint.streamError(stream, FRAME_SIZE_ERROR, `sent PRIORITY frame with incorrect length ${end - start}`)
  }
  const word = bytes.readUInt32BE(start)
  const on = word & 0x7fffffff
  if (on === id) {
    const message = `sent PRIORITY frame for stream ${id} with incorrect dependency`
    if (stream === undefined) return endpoint.fail(PROTOCOL_ERROR, message)
    return endpoint.streamError(stream, PROTOCOL_ERROR, message)
  }
  endpoint.sender.list.depend(id, on, word >>> 31 === 1, bytes[start + 4]! + 1, endpoint.streams)
  return endpoint.tolerates(DEAR)
}

function onPriorityUpdate(endpoint: Endpoint, id: number, bytes: Buffer, start: number, end: number): boolean {
  if (!endpoint.server || id !== 0) return wrongStream(endpoint, 'PRIORITY_UPDATE')
  if (end - start < 4) return wrongLength(endpoint, 'PRIORITY_UPDATE', end - start)
  const target = bytes.readUInt32BE(start) & 0x7fffffff
  if (target === 0) return wrongStream(endpoint, 'PRIORITY_UPDATE')
  const stream = endpoint.streams.get(target)
  if (stream !== undefined) endpoint.sender.list.hurry(stream, urgencyOf(latin1(bytes, start + 4, end)))
  return endpoint.tolerates(DEAR)
}

function onGoaway(endpoint: Endpoint, id: number, bytes: Buffer, start: number, end: number): boolean {
  if (id !== 0) return wrongStream(endpoint, 'GOAWAY')
  if (end - start < 8) return wrongLength(endpoint, 'GOAWAY', end - start)
  const last = bytes.readUInt32BE(start) & 0x7fffffff
  const code = bytes.readUInt32BE(start + 4)
  if (!endpoint.server) {
    endpoint.refused = true
    // What it has not begun with may be tried again elsewhere.
    for (const stream of endpoint.streams.values()) {
      if (stream.id <= last) continue
      endpoint.close(stream)
      stream.onReset(REFUSED_STREAM)
    }
  }
  endpoint.owner.onGoaway(last, code)
  return endpoint.tolerates(DEAR)
}

function wrongLength(endpoint: Endpoint, name: string, length: number): false {
  return endpoint.fail(FRAME_SIZE_ERROR, `sent ${name} frame with incorrect length ${length}`)
}

function wrongStream(endpoint: Endpoint, name: string): false {
  return endpoint.fail(PROTOCOL_ERROR, `sent ${name} frame with incorrect identifier`)
}

/** Streams that the client has opened behind our GOAWAY are not served, but it may go on with them until it has read that. */
function idleStream(endpoint: Endpoint, name: string, id: number): boolean {
  if (endpoint.leftOut(id)) return endpoint.tolerates(CHEAP)
  return endpoint.fail(PROTOCOL_ERROR, `sent ${name} frame for idle stream ${id}`)
}
