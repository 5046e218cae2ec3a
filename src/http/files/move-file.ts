// A file that was written elsewhere gets its name when it is whole: whoever reads that name meanwhile finds what was there
// before, or nothing, and never a part. Synchronous, for responses that are kept as they pass.

import { copyFileSync, renameSync, rmSync, statSync, unlinkSync, utimesSync } from 'node:fs'
import { tempName } from '../request-body.ts'

/** @param makeFolder makes the folder it goes to, if there is none. Throws what the file system throws. */
export function moveFile(from: Buffer, to: Buffer, makeFolder: () => void): void {
  try {
    renameSync(from, to)
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      moveAcross(from, to, error as NodeJS.ErrnoException)
      return
    }
  }
  makeFolder()
  try {
    renameSync(from, to)
  } catch (error) {
    moveAcross(from, to, error as NodeJS.ErrnoException)
  }
}

/** To another file system, if that is why it could not be renamed: copied beside its place first, with its time. */
function moveAcross(from: Buffer, to: Buffer, error: NodeJS.ErrnoException): void {
  if (error.code !== 'EXDEV') throw error
  const beside = Buffer.from(`${to.toString('latin1')}.${tempName()}.tmp`, 'latin1')
  try {
    copyFileSync(from, beside)
    const { atimeMs, mtimeMs } = statSync(from)
    utimesSync(beside, atimeMs / 1000, mtimeMs / 1000)
    renameSync(beside, to)
  } catch (failure) {
    rmSync(beside, { force: true })
    throw failure
  }
  unlinkSync(from)
}
