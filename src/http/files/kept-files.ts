// Small files stay in memory also where no open_file_cache is set: as long as the kernel says that the path still leads to
// the very file that was read, unchanged. One stat() then does for open(), fstat(), read() and close(), and what has been
// made of the content (its compressed form) need not be made again.
//
// A file is changed without a trace if that happens twice within one tick of the file system's clock; therefore only files are
// kept that had been left alone for a while when they were read (as git treats its index). And only those of file systems
// whose stat() knows of every change at once.

import { statfsSync, statSync } from 'node:fs'
import { fileName, openFile, REGULAR, statFile, type OpenFile } from './open-file.ts'
import { OpenFileCache, type FileFinder } from './open-file-cache.ts'
import type { HttpRequest } from '../request.ts'
import { FOLLOW, LinkGuard } from './symlinks.ts'

const MAX = 1000
const INACTIVE_MS = 60_000
/** How long a file must not have been changed before it was read. */
const SETTLED_MS = 2000

/** Magic numbers of local file systems: ext2 to ext4, xfs, btrfs, tmpfs, overlayfs, zfs, f2fs. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010])

const OPTIONS = { throwIfNoEntry: false } as const

export class KeptFiles implements FileFinder {
  readonly guard = new LinkGuard(FOLLOW, null)
  private readonly files = new OpenFileCache({ max: MAX, inactiveMs: INACTIVE_MS })

  open(path: string, r: HttpRequest): OpenFile {
    const nowMs = r.startMs
    const kept = this.files.find(path, nowMs)
    if (kept !== null) {
      if (isUnchanged(kept)) return kept
      this.files.remove(kept)
    }
    const file = openFile(path)
    if (file.kind === REGULAR && file.text !== null && isKeepable(file, nowMs)) {
      file.isCached = true
      this.files.add(file, nowMs)
    }
    return file
  }

  look(path: string): OpenFile {
    return statFile(path)
  }
}

function isUnchanged(file: OpenFile): boolean {
  try {
    const stats = statSync(fileName(file.path), OPTIONS)
    return (
      stats !== undefined &&
      stats.ctimeMs === file.ctimeMs &&
      stats.mtimeMs === file.mtimeMs &&
      stats.ino === file.inode &&
      stats.dev === file.device &&
      stats.size === file.size
    )
  } catch {
    // Whatever it is, opening it will tell.
    return false
  }
}

function isKeepable(file: OpenFile, nowMs: number): boolean {
  if (nowMs - file.ctimeMs < SETTLED_MS) return false
  try {
    return LOCAL.has(statfsSync(fileName(file.path)).type)
  } catch {
    return false
  }
}
