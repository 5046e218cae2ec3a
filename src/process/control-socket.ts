// The Unix socket on which a running program takes commands, as a file: whose it is, who may connect, and that nobody takes it
// from a server that lives. Gunicorn's takes any file's place; here
//
//   nothing is there             made, and its folder
//   a socket nobody listens on   left over from a process that died: replaced
//   one somebody listens on      theirs, unless it is the master this one is about to replace
//   anything else                stays as it is
//
// Where the path leads to another file later, that one is not ours to remove.

import { closeSync, lstatSync, rmdirSync, rmSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import net from 'node:net'
import { dirname } from 'node:path'
import { listenQueue } from './libc.ts'
import { makeFolders } from './privileges.ts'
import { peerPid } from './socket-name.ts'
import { BindError, bindUnix } from './sockets.ts'
import { failed, reason } from './system-error.ts'

export interface ControlPlace {
  /** Absolute, one character per byte. */
  readonly path: string
  readonly mode: number
  /** Nobody has asked for it: where it cannot be had, that is no error. */
  readonly optional: boolean
}

const BACKLOG = 16
/** For a connection to a server that lives. */
const ANSWER_MS = 1000
/** What a Unix socket's address has room for. */
const PATH_MAX = 107
const TAKEN = (path: string): string => `"${path}" was taken by somebody else`

export class ControlSocket {
  readonly place: ControlPlace
  /** It listens. */
  readonly fd: number
  private readonly file: BigIntStats
  private readonly madeFolder: boolean

  private constructor(place: ControlPlace, fd: number, madeFolder: boolean) {
    this.place = place
    this.fd = fd
    this.file = look(place.path)!
    this.madeFolder = madeFolder
  }

  /**
   * Throws an Error in words for the log.
   * @param predecessor the master this one replaces, 0 for none: its socket is taken over
   */
  static async open(place: ControlPlace, predecessor: number): Promise<ControlSocket> {
    const { path, mode } = place
    if (path.length > PATH_MAX)
      throw new Error(`"${path}" is longer than the ${PATH_MAX} bytes a socket's path may have`)
    const folder = dirname(path)
    const madeFolder = look(folder) === undefined
    try {
      makeFolders(folder)
    } catch (error) {
      throw new Error(failed('mkdir()', folder, error), { cause: error })
    }
    try {
      await makeRoom(path, predecessor)
      const fd = bind(path, mode)
      if (listenQueue(fd, BACKLOG)) return new ControlSocket(place, fd, madeFolder)
      closeSync(fd)
      throw new Error(`listen() on "${path}" failed`)
    } catch (error) {
      if (madeFolder) removeFolder(folder)
      throw error
    }
  }

  /** Does the path still lead here? */
  get isThere(): boolean {
    // As long as it is open, no other file can get its number.
    const now = look(this.place.path)
    return now !== undefined && now.ino === this.file.ino && now.dev === this.file.dev
  }

  /** Removes the file, if it is still ours. To be called while the descriptor is open. */
  remove(): void {
    const { path } = this.place
    try {
      if (this.isThere) rmSync(bytes(path), { force: true })
      if (this.madeFolder) removeFolder(dirname(path))
    } catch {
      // Somebody has closed the folder to us. What stays is a socket nobody listens on.
    }
  }
}

async function makeRoom(path: string, predecessor: number): Promise<void> {
  const found = look(path)
  if (found === undefined) return
  if (!found.isSocket()) throw new Error(`"${path}" is there already and is no socket`)
  const owner = await listener(path)
  if (owner !== null && (predecessor === 0 || owner !== predecessor)) {
    throw new Error(`another server listens on "${path}"${owner === 0 ? '' : ` (process ${owner})`}`)
  }
  // Whoever found the same one at the same time may have taken its place meanwhile.
  const now = look(path)
  if (now?.ino !== found.ino || now.ctimeNs !== found.ctimeNs) throw new Error(TAKEN(path))
  rmSync(bytes(path))
}

function bind(path: string, mode: number): number {
  try {
    return bindUnix(path, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new Error(TAKEN(path), { cause: error })
    if (!(error instanceof BindError)) throw new Error(failed('link()', path, error), { cause: error })
    throw new Error(error.message.replace(`${dirname(path)}/.${process.pid}`, path), { cause: error })
  }
}

/** The process that listens there, 0 where it is not known which; null: nobody. Throws where that cannot be found out. */
function listener(path: string): Promise<number | null> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  const socket = net.connect({ path: bytes(path).toString('utf8') })
  socket.setTimeout(ANSWER_MS, () => resolve(0))
  socket.once('connect', () => resolve(peerPid((socket as unknown as { _handle: { fd: number } })._handle.fd)))
  socket.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(null)
    // Its queue is full, so there is somebody.
    else if (error.code === 'EAGAIN') resolve(0)
    else reject(new Error(`connect() to "${path}" failed (${reason(error)})`))
  })
  return promise.finally(() => socket.destroy())
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(bytes(folder))
  } catch {
    // There is something else in it.
  }
}

function look(path: string): BigIntStats | undefined {
  try {
    return lstatSync(bytes(path), { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}
