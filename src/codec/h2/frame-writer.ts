// Frames to bytes.

import type { ByteWriter } from './byte-writer.ts'
import {
  ACK,
  CONTINUATION,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './constants.ts'

function writeFrameHeader(out: ByteWriter, length: number, type: number, flags: number, stream: number): void {
  out.reserve(FRAME_HEADER + length)
  putFrameHeader(out.bytes, out.length, length, type, flags, stream)
  out.length += FRAME_HEADER
}

/** Writes a frame's header where there is room for it already. */
export function putFrameHeader(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = length >>> 16
  bytes[at + 1] = length >>> 8
  bytes[at + 2] = length
  bytes[at + 3] = type
  bytes[at + 4] = flags
  bytes[at + 5] = stream >>> 24
  bytes[at + 6] = stream >>> 16
  bytes[at + 7] = stream >>> 8
  bytes[at + 8] = stream
}

/** @param pairs numbers and values in turn */
export function writeSettings(out: ByteWriter, pairs: readonly number[]): void {
  writeFrameHeader(out, pairs.length * 3, SETTINGS, 0, 0)
  for (let i = 0; i < pairs.length; i += 2) {
    out.length = out.bytes.writeUInt16BE(pairs[i]!, out.length)
    out.length = out.bytes.writeUInt32BE(pairs[i + 1]!, out.length)
  }
}

export function writeSettingsAck(out: ByteWriter): void {
  writeFrameHeader(out, 0, SETTINGS, ACK, 0)
}

export function writeWindowUpdate(out: ByteWriter, stream: number, increment: number): void {
  writeFrameHeader(out, 4, WINDOW_UPDATE, 0, stream)
  out.length = out.bytes.writeUInt32BE(increment, out.length)
}

export function writeReset(out: ByteWriter, stream: number, code: number): void {
  writeFrameHeader(out, 4, RST_STREAM, 0, stream)
  out.length = out.bytes.writeUInt32BE(code, out.length)
}

export function writeGoaway(out: ByteWriter, last: number, code: number): void {
  writeFrameHeader(out, 8, GOAWAY, 0, 0)
  out.length = out.bytes.writeUInt32BE(last, out.length)
  out.length = out.bytes.writeUInt32BE(code, out.length)
}

/** @param flags ACK answers a ping with the same eight bytes */
export function writePing(out: ByteWriter, flags: number, bytes: Uint8Array, start: number): void {
  writeFrameHeader(out, 8, PING, flags, 0)
  out.append(bytes, start, start + 8)
}

/** A header block, in as many frames as the other side's frame size asks for. */
export function writeHeaderBlock(
  out: ByteWriter,
  stream: number,
  block: Uint8Array,
  length: number,
  ends: boolean,
  frameMax: number,
): void {
  const last = ends ? END_STREAM : 0
  if (length <= frameMax) {
    writeFrameHeader(out, length, HEADERS, last | END_HEADERS, stream)
    out.append(block, 0, length)
    return
  }
  writeFrameHeader(out, frameMax, HEADERS, last, stream)
  out.append(block, 0, frameMax)
  for (let at = frameMax; at < length; at += frameMax) {
    const size = Math.min(frameMax, length - at)
    writeFrameHeader(out, size, CONTINUATION, at + size === length ? END_HEADERS : 0, stream)
    out.append(block, at, at + size)
  }
}
