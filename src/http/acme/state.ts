// An issuer's folder (state_path): what it would be a pity to lose when the program ends. Account key, certificates, keys.

import { chmodSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Texts by the files' names. */
export type StateFiles = Readonly<Record<string, string>>

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

  /** All of them are there, whole, or those of before: what belongs together. For their owner's eyes. */
  write(files: StateFiles): void {
    const names = Object.keys(files)
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    try {
      for (const name of names) this.writeBeside(name, files[name]!)
    } catch (error) {
      for (const name of names) this.forget(name)
      throw error
    }
    for (const name of names) renameSync(this.beside(name), this.path(name))
  }

  private writeBeside(name: string, text: string): void {
    writeFileSync(this.beside(name), text, { encoding: 'latin1', mode: 0o600 })
    chmodSync(this.beside(name), 0o600)
  }

  private forget(name: string): void {
    try {
      unlinkSync(this.beside(name))
    } catch {
      // as well as it can be done: why it could not be written is told
    }
  }

  private beside(name: string): string {
    return this.path(`${name}.tmp`)
  }

  private path(name: string): string {
    return Buffer.from(join(this.folder, name), 'latin1').toString()
  }
}
