// The frames a client needs, as latin1 text: they travel with heads and pieces of body in one write.

import {
  ACK,
  CONTINUATION,
  DATA,
  DEFAULT_FRAME_SIZE,
  DEFAULT_WINDOW,
  ENABLE_PUSH,
  END_HEADERS,
  END_STREAM,
  HEADER_TABLE_SIZE,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  PING,
  PREFACE,
  SETTINGS,
  WINDOW_MAX,
  WINDOW_UPDATE,
} from '../../../codec/h2/constants.ts'

function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}

/** A frame's header (RFC 9113, 4.1). */
export function frameHeader(length: number, type: number, flags: number, stream: number): string {
  return String.fromCharCode(length >>> 16, (length >>> 8) & 255, length & 255, type, flags) + uint32(stream)
}

function setting(id: number, value: number): string {
  return String.fromCharCode(0, id) + uint32(value)
}

export function windowUpdate(stream: number, size: number): string {
  return frameHeader(4, WINDOW_UPDATE, 0, stream) + uint32(size)
}

/** No table to remember fields in, no pushes, and windows that are no limit: the connection itself is held back instead. */
const settings = setting(HEADER_TABLE_SIZE, 0) + setting(ENABLE_PUSH, 0) + setting(INITIAL_WINDOW_SIZE, WINDOW_MAX)

export const OPENING =
  PREFACE.toString('latin1') +
  frameHeader(settings.length, SETTINGS, 0, 0) +
  settings +
  windowUpdate(0, WINDOW_MAX - DEFAULT_WINDOW)

export const SETTINGS_ACK = frameHeader(0, SETTINGS, ACK, 0)

/** The answer to a PING. */
export function ping(payload: Buffer): string {
  return frameHeader(8, PING, ACK, 0) + payload.toString('latin1')
}

/** A header block in its frames; the connection's first has the preface in front. */
export function frameHead(block: string, stream: number, ends: boolean): string {
  const first = stream === 1 ? OPENING : ''
  const flags = ends ? END_STREAM : 0
  if (block.length <= DEFAULT_FRAME_SIZE) {
    return first + frameHeader(block.length, HEADERS, flags | END_HEADERS, stream) + block
  }
  let text = first + frameHeader(DEFAULT_FRAME_SIZE, HEADERS, flags, stream) + block.slice(0, DEFAULT_FRAME_SIZE)
  for (let at = DEFAULT_FRAME_SIZE; at < block.length; at += DEFAULT_FRAME_SIZE) {
    const piece = block.slice(at, at + DEFAULT_FRAME_SIZE)
    const last = at + DEFAULT_FRAME_SIZE >= block.length
    text += frameHeader(piece.length, CONTINUATION, last ? END_HEADERS : 0, stream) + piece
  }
  return text
}

export function dataHeader(length: number, stream: number, ends: boolean): string {
  return frameHeader(length, DATA, ends ? END_STREAM : 0, stream)
}
