// The folder of one run of `portico serve`: what is in it goes with it. Until the master takes signals, one that ends the program
// would leave it behind.

import { chmodSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endBy } from '../process/early-signals.ts'
import { reason } from '../process/system-error.ts'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const
/** They ask a running server for something, and would end or stop one that is not there yet. */
const EARLY = ['SIGUSR1', 'SIGUSR2', 'SIGTTIN', 'SIGTTOU'] as const

function tooEarly(): void {}

export class RunFolder {
  path = ''
  private readonly end = (signal: NodeJS.Signals): void => {
    this.letGo()
    if (this.path !== '') this.remove()
    endBy(signal)
  }

  /** Throws an Error worded for the user. */
  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.end)
    for (const signal of EARLY) process.on(signal, tooEarly)
    this.path = make()
    // The front may run as somebody else: it enters, and its own folders in here are closed to others.
    chmodSync(this.path, 0o711)
  }

  /** Somebody else takes signals, and ends in order. */
  letGo(): void {
    for (const signal of SIGNALS) process.off(signal, this.end)
    for (const signal of EARLY) process.off(signal, tooEarly)
  }

  remove(): void {
    try {
      rmSync(this.path, { recursive: true, force: true })
    } catch {
      // Nobody can look into it without a descriptor; who has none has hardly put anything there.
      removeEmpty(this.path)
    }
  }
}

/** What ends for want of descriptors has told so, and this would hide it. */
function removeEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // It stays.
  }
}

function make(): string {
  const place = tmpdir()
  try {
    return mkdtempSync(join(place, 'portico-'))
  } catch (error) {
    throw new Error(`no folder can be made in "${place}" (${reason(error)}); TMPDIR names another`, { cause: error })
  }
}
