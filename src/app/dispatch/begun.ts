// The front's view of what a worker with many requests at a time has begun (docs/bridge.md): when it was killed, those that it
// had been sent and had not come to are another one's.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants

export class Begun {
  private readonly fd: number
  private readonly at: number

  private constructor(fd: number, link: number) {
    this.fd = fd
    this.at = 4 * link
  }

  /**
   * Null where the worker does not tell. Opened while it lives: with it goes the file's name.
   * @param link the number of our connection, as the worker said in its HELLO; 0: it does not tell
   */
  static open(path: string, link: number): Begun | null {
    if (link === 0) return null
    let fd = -1
    try {
      // Its folder is the application's: what it may have put there instead is not followed, and not used.
      fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
      const found = fstatSync(fd)
      if (found.isFile() && found.size >= 4 * (link + 1)) return new Begun(fd, link)
    } catch {
      // as if there were none
    }
    if (fd >= 0) closeSync(fd)
    return null
  }

  /** The stream of the request it has begun last on our connection, 0 before the first; -1: that cannot be told. */
  last(): number {
    const cell = new Uint32Array(1)
    try {
      return readSync(this.fd, cell, 0, 4, this.at) === 4 ? cell[0]! : -1
    } catch {
      return -1
    }
  }

  close(): void {
    closeSync(this.fd)
  }
}
