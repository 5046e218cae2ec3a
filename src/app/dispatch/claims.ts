// The front's end of a worker's pipe of tokens (docs/bridge.md): each request that is sent ahead has one there, and whoever
// takes it has the request. What has been sent can so be taken back, and what a dead worker never began is known.

import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'

const TOKEN_SIZE = 8
/** Tokens written or read at a time. */
const TOKENS = 32
const { O_RDWR, O_NONBLOCK, O_NOFOLLOW } = constants

export class Claims {
  /** The number of our connection, as the worker said in its HELLO. */
  private readonly link: number
  private readonly fd: number
  private readonly tokens = Buffer.alloc(TOKENS * TOKEN_SIZE)
  /** Streams of the tokens taken back by the last takeBack(). */
  readonly taken: number[] = []

  private constructor(fd: number, link: number) {
    this.fd = fd
    this.link = link
    for (let i = 0; i < TOKENS; i++) this.tokens.writeUInt32LE(link, i * TOKEN_SIZE)
  }

  /** Null where there is no such pipe, or what is there is none: then nothing is sent ahead. */
  static open(path: string, link: number): Claims | null {
    let fd = -1
    try {
      // Its folder is the application's: what it may have put there instead is not followed, and not used.
      fd = openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW)
      if (fstatSync(fd).isFIFO()) return new Claims(fd, link)
    } catch {
      // as if there were none
    }
    if (fd >= 0) closeSync(fd)
    return null
  }

  /** Before requests are sent: those with these streams, from that index on, at most 32. False: they cannot be sent ahead. */
  put(streams: readonly number[], from: number): boolean {
    const { tokens } = this
    const count = streams.length - from
    for (let i = 0; i < count; i++) tokens.writeUInt32LE(streams[from + i]!, i * TOKEN_SIZE + 4)
    try {
      return writeSync(this.fd, tokens, 0, count * TOKEN_SIZE) === count * TOKEN_SIZE
    } catch {
      return false
    }
  }

  /** Takes whatever the worker has not: fills `taken` with the requests that are ours again. */
  takeBack(): readonly number[] {
    const { taken, fd, link } = this
    const tokens = Buffer.allocUnsafe(TOKENS * TOKEN_SIZE)
    taken.length = 0
    for (;;) {
      let size = 0
      try {
        size = readSync(fd, tokens, 0, tokens.length, null)
      } catch {
        return taken // EAGAIN: there are none
      }
      for (let at = 0; at + TOKEN_SIZE <= size; at += TOKEN_SIZE) {
        if (tokens.readUInt32LE(at) === link) taken.push(tokens.readUInt32LE(at + 4))
      }
      if (size < tokens.length) return taken
    }
  }

  close(): void {
    closeSync(this.fd)
  }
}
