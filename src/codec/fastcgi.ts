// FastCGI 1.0 as a web server speaks it to a responder: one request at a time on a connection, always number 1. Written as
// latin1 text, read as records from whatever pieces the network makes of them.

export const BEGIN_REQUEST = 1
export const END_REQUEST = 3
export const PARAMS = 4
export const STDIN = 5
export const STDOUT = 6
export const STDERR = 7

const VERSION = 1
const RESPONDER = 1
const KEEP_CONN = 1
const HEAD_SIZE = 8
/** Content of one record. */
export const CONTENT_MAX = 65535

function byte(value: number): string {
  return String.fromCharCode(value & 255)
}

export function recordHead(type: number, length: number): string {
  return byte(VERSION) + byte(type) + '\0\x01' + byte(length >> 8) + byte(length) + '\0\0'
}

/** An empty record: the stream is at its end. */
export function endOf(type: number): string {
  return recordHead(type, 0)
}

export function beginRequest(keepConnection: boolean): string {
  return `${recordHead(BEGIN_REQUEST, HEAD_SIZE)}\0${byte(RESPONDER)}${byte(keepConnection ? KEEP_CONN : 0)}\0\0\0\0\0`
}

/** One name-value pair of PARAMS. */
export function encodePair(name: string, value: string): string {
  return encodeLength(name.length) + encodeLength(value.length) + name + value
}

function encodeLength(length: number): string {
  if (length < 128) return byte(length)
  return byte((length >> 24) | 128) + byte(length >> 16) + byte(length >> 8) + byte(length)
}

/** All pairs as PARAMS records, and the empty one behind them. */
export function paramsRecords(pairs: string): string {
  let text = ''
  for (let at = 0; at < pairs.length; at += CONTENT_MAX) {
    const part = pairs.length <= CONTENT_MAX ? pairs : pairs.slice(at, at + CONTENT_MAX)
    text += recordHead(PARAMS, part.length) + part
  }
  return text + endOf(PARAMS)
}

// What RecordReader.next() has come to.
/** The bytes are used up. */
export const NEED = 0
/** A record's head: `type` and `left` are known. */
export const OPENED = 1
/** A piece of its content: bytes[from, to). */
export const CONTENT = 2
/** The record and its padding are through. */
export const CLOSED = 3
/** This is no response of a FastCGI responder; `error` says why. */
export const BAD = 4

const IN_HEAD = 0
const IN_CONTENT = 1
const IN_PADDING = 2

export class RecordReader {
  /** Where in the bytes at hand it is: set by the caller for new bytes. */
  pos = 0
  type = 0
  /** Content bytes of the record that are still to come. */
  left = 0
  from = 0
  to = 0
  error = ''
  private padding = 0
  private state = IN_HEAD
  /** Bytes of the record's head that have been read. */
  private headAt = 0

  next(bytes: Uint8Array, end: number): number {
    switch (this.state) {
      case IN_HEAD:
        return this.readHead(bytes, end)
      case IN_CONTENT:
        if (this.left > 0) return this.readContent(end)
        this.state = IN_PADDING
        return this.skipPadding(end)
      default:
        return this.skipPadding(end)
    }
  }

  /** Of the content last told of, what begins at `position` is to be told again. */
  giveBack(position: number): void {
    this.left += this.to - position
    this.pos = position
    this.state = IN_CONTENT
  }

  private readHead(bytes: Uint8Array, end: number): number {
    while (this.headAt < HEAD_SIZE) {
      if (this.pos >= end) return NEED
      if (!this.takeHeadByte(this.headAt++, bytes[this.pos++]!)) return BAD
    }
    this.headAt = 0
    this.state = IN_CONTENT
    return OPENED
  }

  private takeHeadByte(at: number, c: number): boolean {
    switch (at) {
      case 0:
        return c === VERSION || this.refuse(`unsupported FastCGI protocol version: ${c}`)
      case 1:
        this.type = c
        return c === STDOUT || c === STDERR || c === END_REQUEST || this.refuse(`invalid FastCGI record type: ${c}`)
      case 2:
        return c === 0 || this.refuse(`unexpected FastCGI request id high byte: ${c}`)
      case 3:
        return c === 1 || this.refuse(`unexpected FastCGI request id low byte: ${c}`)
      case 4:
        this.left = c << 8
        return true
      case 5:
        this.left |= c
        return true
      case 6:
        this.padding = c
        return true
      default:
        return true
    }
  }

  private readContent(end: number): number {
    if (this.pos >= end) return NEED
    const size = Math.min(this.left, end - this.pos)
    this.from = this.pos
    this.pos += size
    this.to = this.pos
    this.left -= size
    return CONTENT
  }

  private skipPadding(end: number): number {
    const size = Math.min(this.padding, end - this.pos)
    this.pos += size
    this.padding -= size
    if (this.padding > 0) return NEED
    this.state = IN_HEAD
    return CLOSED
  }

  private refuse(what: string): boolean {
    this.error = `upstream sent ${what}`
    return false
  }
}
