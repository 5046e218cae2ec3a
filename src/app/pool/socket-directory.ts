// The folder an application's workers make their sockets in: nobody but the application's user and the front may enter it,
// so a socket in it needs no password. The name is short, since a Unix socket's path has room for 107 bytes.

import { chmodSync, chownSync, lchownSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { failed, reason } from '../../process/system-error.ts'
import { begunPath, claimsPath } from '../app.ts'

export interface Ids {
  readonly uid: number
  readonly gid: number
}

/** Bytes of a Unix socket's path (sun_path, without its last NUL). */
const PATH_MAX = 107
/** Of `/portico-XXXXXX/`. */
const FOLDER_LENGTH = 16
/** Of what workers put behind an application's name: generation, process, thread and `.sock`. */
const SUFFIX_MAX = 26

export class SocketDirectory {
  readonly path: string
  private readonly owner: Ids | null
  private readonly front: Ids | null

  /**
   * @param parent '' for the system's temporary folder
   * @param owner who the workers run as; null: as we do
   * @param front who the front runs as, when that is somebody else; null: the same
   * @param name what the sockets' names begin with
   */
  constructor(parent: string, owner: Ids | null, front: Ids | null, name: string) {
    this.path = makeFolder(parent === '' ? tmpdir() : parent, name)
    this.owner = owner
    this.front = front
    this.handOver()
  }

  private handOver(): void {
    const { path, owner, front } = this
    if (owner === null) return
    // First, as long as nobody else can put a link in its place.
    if (front !== null) chmodSync(path, 0o710)
    try {
      chownSync(path, owner.uid, front === null ? owner.gid : front.gid)
    } catch (error) {
      this.remove()
      throw new Error(failed('chown()', path, error), { cause: error })
    }
  }

  /** Somebody may have tidied up the temporary folder, and somebody else made one of that name: sockets in there would be theirs.
   *  What is made in its place is ours, or nothing is made. */
  restore(): void {
    const found = lstatSync(this.path, { throwIfNoEntry: false })
    if (found !== undefined) {
      const { uid } = this.owner ?? { uid: process.geteuid!() }
      if (!found.isDirectory() || found.uid !== uid) throw new Error('it was taken by somebody else')
      return
    }
    mkdirSync(this.path, 0o700)
    this.handOver()
  }

  /**
   * Lets the front connect to a socket in here, and open what may be beside it. The application owns the folder: a link it may have
   * put there is not followed.
   */
  admitFront(socket: string): void {
    if (this.front === null) return
    const { uid, gid } = this.front
    lchownSync(socket, uid, gid)
    for (const beside of [claimsPath(socket), begunPath(socket)]) {
      if (lstatSync(beside, { throwIfNoEntry: false }) !== undefined) lchownSync(beside, uid, gid)
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

function makeFolder(parent: string, name: string): string {
  const excess = Buffer.byteLength(parent + name) + FOLDER_LENGTH + SUFFIX_MAX - PATH_MAX
  if (excess > 0) {
    const why = `its name is ${excess} bytes too long for paths of Unix sockets`
    throw new Error(`no sockets can be made in "${parent}" (${why}); TMPDIR names another`)
  }
  try {
    return mkdtempSync(join(parent, 'portico-'))
  } catch (error) {
    throw new Error(`no folder for sockets can be made in "${parent}" (${reason(error)}); TMPDIR names another`, {
      cause: error,
    })
  }
}
