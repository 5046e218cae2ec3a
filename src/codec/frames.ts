// The frames between a front thread and an application's worker (docs/bridge.md), and those that the front sends. What the
// worker sends is read by frame-reader.ts.
//
//   u32 length | u32 stream | u8 type | u8 flags | u16 count | length bytes of content

export const HELLO = 1
export const REQUEST = 2
export const BODY = 3
export const ABORT = 4
export const HEAD = 5
export const DATA = 6
export const FILE = 7
export const LOG = 8
export const FAIL = 9
export const SHUTDOWN = 10
export const BYE = 11
export const WINDOW = 12
export const MESSAGE = 13
export const CLOSE = 14
export const INTERIM = 15
export const TRAILERS = 16

export const END = 1
export const FLUSH = 2
export const FROM_FILE = 4
/** Of REQUEST: it asks for a websocket. */
export const WEBSOCKET = 8
/** Of REQUEST: it was sent ahead, and is for the worker only if it finds its token (dispatch/claims.ts). */
export const CLAIM = 16
/** Of SHUTDOWN: not yet, the server has begun to stop. */
export const SOON = 2
/** Of MESSAGE: it is text. */
export const TEXT = 8

/** What a message takes of a window beyond its length: empty ones must not be free. */
export const MESSAGE_COST = 16

export const HEADER_SIZE = 12
const EMPTY = Buffer.alloc(0)

/**
 * A request, complete with its body or followed by BODY frames.
 * @param environ names and values in turn, `PATH_INFO` last, since it is the only value that may hold a NUL
 * @param body all of it; null when BODY frames follow
 */
export function encodeRequest(stream: number, environ: readonly string[], body: Buffer | null, flags = 0): Buffer {
  return encodeRequestText(stream, environ.join('\0'), environ.length >>> 1, body, flags)
}

/** The same, for names and values that stand in one text already. */
export function encodeRequestText(stream: number, text: string, pairs: number, body: Buffer | null, flags = 0): Buffer {
  const size = text.length
  const bodySize = body === null ? 0 : body.length
  const frame = Buffer.allocUnsafe(16 + size + bodySize)
  writeHeader(frame, 4 + size + bodySize, stream, REQUEST, body === null ? flags : flags | END, pairs)
  writeU32(frame, 12, size)
  frame.write(text, 16, size, 'latin1')
  if (bodySize !== 0) frame.set(body!, 16 + size)
  return frame
}

/** What stands before `length` bytes of a body that are written right after it. */
export function encodeBodyHeader(stream: number, length: number, last: boolean): Buffer {
  return encodeFrame(BODY, stream, last ? END : 0, EMPTY, length)
}

/** A body that was buffered in a file; this is all of it. */
export function encodeBodyFile(stream: number, path: string, length: number): Buffer {
  return encodeFrame(BODY, stream, END | FROM_FILE, Buffer.from(JSON.stringify({ path, length })))
}

export function encodeAbort(stream: number): Buffer {
  return encodeFrame(ABORT, stream, 0, EMPTY)
}

/** The request has taken too long: the worker ends the stream at once and cancels its task. */
export function encodeCancel(stream: number): Buffer {
  return encodeFrame(ABORT, stream, END, EMPTY)
}

/** So many bytes more may be sent on the stream. */
export function encodeWindow(stream: number, size: number): Buffer {
  const content = Buffer.allocUnsafe(4)
  writeU32(content, 0, size)
  return encodeFrame(WINDOW, stream, 0, content)
}

/** What stands before `length` bytes of a websocket's message that are written right after it. */
export function encodeMessageHeader(stream: number, isText: boolean, length: number): Buffer {
  return encodeFrame(MESSAGE, stream, isText ? TEXT : 0, EMPTY, length)
}

/** The websocket is closed. @param reason UTF-8 */
export function encodeClose(stream: number, code: number, reason: Buffer): Buffer {
  const content = Buffer.allocUnsafe(2 + reason.length)
  content[0] = code
  content[1] = code >>> 8
  content.set(reason, 2)
  return encodeFrame(CLOSE, stream, 0, content)
}

export function encodeShutdown(flags = 0): Buffer {
  return encodeFrame(SHUTDOWN, 0, flags, EMPTY)
}

/** Any frame; with `length`, only its header and what is at hand of the content. */
export function encodeFrame(
  type: number,
  stream: number,
  flags: number,
  content: Buffer,
  length = content.length,
  count = 0,
): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_SIZE + content.length)
  writeHeader(frame, length, stream, type, flags, count)
  frame.set(content, HEADER_SIZE)
  return frame
}

function writeHeader(to: Buffer, length: number, stream: number, type: number, flags: number, count: number): void {
  writeU32(to, 0, length)
  writeU32(to, 4, stream)
  to[8] = type
  to[9] = flags
  to[10] = count
  to[11] = count >>> 8
}

// Four plain stores: Buffer's own methods check their arguments each time.
function writeU32(to: Buffer, at: number, value: number): void {
  to[at] = value
  to[at + 1] = value >>> 8
  to[at + 2] = value >>> 16
  to[at + 3] = value >>> 24
}
