// A folder for one test, gone when the test ends. It may be entered by everybody, since a server started as root serves as
// another user; its path is short, because the path of a Unix socket has room for 107 bytes.

import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'

/** Files to make: names relative to a folder, with their content. */
export type Files = Readonly<Record<string, string | Buffer>>

export function tempDir(t: Scope): string {
  const dir = mkdtempSync(join(realpathSync(tmpdir()), 'portico-'))
  chmodSync(dir, 0o755)
  atEnd(t, () => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Writes files below a folder, making the folders on the way. Strings are written as UTF-8. */
export function writeFiles(dir: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(dir, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
}
