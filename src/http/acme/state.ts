// An issuer's folder (state_path): what it would be a pity to lose when the program ends. Account key, certificates, keys.

import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class StateFolder {
  private readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  /** null: there is no such file. */
  read(name: string): string | null {
    try {
      return readFileSync(this.path(name), 'latin1')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  /** The whole file is there, or the one before; for its owner's eyes. */
  write(name: string, text: string): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    const temporary = this.path(`${name}.tmp`)
    writeFileSync(temporary, text, { encoding: 'latin1', mode: 0o600 })
    chmodSync(temporary, 0o600)
    renameSync(temporary, this.path(name))
  }

  private path(name: string): string {
    return Buffer.from(join(this.folder, name), 'latin1').toString()
  }
}
