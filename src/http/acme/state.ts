// An issuer's folder (state_path): what it would be a pity to lose when the program ends. Account key, certificates, keys. Answers to
// challenges, too, for as long as they are waited for: during an upgrade the authority may come to the other master's threads.

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { ChallengeType } from './order.ts'

/** Texts by the files' names. */
export type StateFiles = Readonly<Record<string, string>>

const CHALLENGE = 'challenge-'
/** Nobody waits for that long: it was left behind by a program that was killed. */
const STALE_MS = 24 * 3_600_000

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

  /** @param key the token of http-01, the identifier of tls-alpn-01; null: there is no answer (any more) */
  answerTo(type: ChallengeType, key: string): string | null {
    const name = challengeName(type, key)
    try {
      return name === null ? null : this.read(name)
    } catch {
      return null
    }
  }

  /** As well as it can be done: who has asked has the answer in memory. */
  setAnswer(type: ChallengeType, key: string, answer: string | null): void {
    const name = challengeName(type, key)
    if (name === null) return
    try {
      if (answer === null) unlinkSync(this.path(name))
      else this.write({ [name]: answer })
    } catch {
      // as the comment says
    }
  }

  forgetStale(): void {
    try {
      for (const name of readdirSync(this.path(''))) {
        const isStale = name.startsWith(CHALLENGE) && Date.now() - statSync(this.path(name)).mtimeMs > STALE_MS
        if (isStale) unlinkSync(this.path(name))
      }
    } catch {
      // there is no folder yet
    }
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

/** null: it cannot be part of a file's name. Clients and authorities choose it. */
function challengeName(type: ChallengeType, key: string): string | null {
  return /^[\w.:-]{1,200}$/.test(key) ? `${CHALLENGE}${type}-${key}` : null
}
