// The thread that passwords.ts asks: slow hashes, one after the other.

import { parentPort } from 'node:worker_threads'
import { crypt } from '../../lib/crypt/crypt.ts'

export interface PasswordQuestion {
  readonly id: number
  /** Latin1, as it came. */
  readonly password: string
  /** What the password file says. */
  readonly stored: string
}

export interface PasswordAnswer {
  readonly id: number
  /** null: a kind of hash that is not known. */
  readonly computed: string | null
}

parentPort?.on('message', ({ id, password, stored }: PasswordQuestion) => {
  const computed = crypt(Buffer.from(password, 'latin1'), stored)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no browser's window
  parentPort!.postMessage({ id, computed } satisfies PasswordAnswer)
})
