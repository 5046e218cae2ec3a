// Is this the password that the file means? Quick hashes are compared at once; crypt(3)'s are slow by design and go to a
// thread of their own. What was right is remembered under a keyed digest of password and hash, so that each request of a
// client that sends its password along does not cost that time again. Nothing here can be turned back into a password.

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { PasswordAnswer, PasswordQuestion } from './password-thread.ts'

export const RIGHT = 1
export const WRONG = 2
/** Asked for later. */
export const PENDING = 3
/** A kind of hash that is not known. */
export const UNKNOWN_HASH = 4
/** Too many are waiting, or the thread died. */
export const UNAVAILABLE = 5

export type PasswordWaiter = (outcome: number) => void

const REMEMBERED_MAX = 4096
const PENDING_MAX = 1024

interface Job {
  readonly key: string
  readonly stored: string
  readonly waiters: PasswordWaiter[]
}

const secret = randomBytes(32)

/** One for each front thread. */
export class Passwords {
  private readonly right = new Set<string>()
  private readonly jobs = new Map<number, Job>()
  private readonly jobsByKey = new Map<string, Job>()
  private thread: Worker | null = null
  private lastId = 0

  /** Answers at once, or PENDING and tells `waiter` later. Both are latin1. */
  check(password: string, stored: string, waiter: PasswordWaiter): number {
    const quick = compareQuickly(password, stored)
    if (quick !== PENDING) return quick
    const key = createHmac('sha256', secret).update(`${stored}\0${password}`, 'latin1').digest('base64')
    if (this.right.has(key)) {
      // Moves it behind those that were used less lately.
      this.right.delete(key)
      this.right.add(key)
      return RIGHT
    }
    return this.ask(password, stored, key, waiter)
  }

  private ask(password: string, stored: string, key: string, waiter: PasswordWaiter): number {
    const asked = this.jobsByKey.get(key)
    if (asked !== undefined) {
      asked.waiters.push(waiter)
      return PENDING
    }
    if (this.jobs.size >= PENDING_MAX) return UNAVAILABLE
    const job = { key, stored, waiters: [waiter] }
    const id = ++this.lastId
    this.jobs.set(id, job)
    this.jobsByKey.set(key, job)
    this.thread ??= this.open()
    this.thread.ref()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no browser's window
    this.thread.postMessage({ id, password, stored } satisfies PasswordQuestion)
    return PENDING
  }

  private open(): Worker {
    // The package's chunks are in dist/cli, whatever they are made of.
    const name = import.meta.url.endsWith('.ts') ? './password-thread.ts' : '../http/access/password-thread.js'
    const thread = new Worker(new URL(name, import.meta.url))
    thread.on('message', (answer: PasswordAnswer) => this.answered(answer))
    // 'exit' follows, and says all there is to say.
    thread.on('error', () => {})
    thread.on('exit', () => this.died(thread))
    return thread
  }

  private answered({ id, computed }: PasswordAnswer): void {
    const job = this.jobs.get(id)
    if (job === undefined) return
    this.jobs.delete(id)
    this.jobsByKey.delete(job.key)
    if (this.jobs.size === 0) this.thread?.unref()
    const outcome = computed === null ? UNKNOWN_HASH : isSame(computed, job.stored) ? RIGHT : WRONG
    if (outcome === RIGHT) this.remember(job.key)
    for (const waiter of job.waiters) waiter(outcome)
  }

  private remember(key: string): void {
    if (this.right.size >= REMEMBERED_MAX) this.right.delete(this.right.values().next().value!)
    this.right.add(key)
  }

  private died(thread: Worker): void {
    if (this.thread === thread) this.thread = null
    const jobs = [...this.jobs.values()]
    this.jobs.clear()
    this.jobsByKey.clear()
    for (const { waiters } of jobs) for (const waiter of waiters) waiter(UNAVAILABLE)
  }

  stop(): void {
    void this.thread?.terminate()
  }
}

function compareQuickly(password: string, stored: string): number {
  // No password at all is the hash of none.
  if (stored === '') return WRONG
  if (stored.startsWith('{PLAIN}')) return isSame(password, stored.slice(7)) ? RIGHT : WRONG
  if (stored.startsWith('{SHA}')) return isSame(sha1(password, ''), stored.slice(5)) ? RIGHT : WRONG
  if (!stored.startsWith('{SSHA}')) return PENDING
  const salt = Buffer.from(stored.slice(6), 'base64').subarray(20).toString('latin1')
  return isSame(sha1(password, salt), stored.slice(6)) ? RIGHT : WRONG
}

function sha1(password: string, salt: string): string {
  const digest = createHash('sha1')
    .update(password + salt, 'latin1')
    .digest()
  return Buffer.concat([digest, Buffer.from(salt, 'latin1')]).toString('base64')
}

/** Takes the same time wherever they differ. */
function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'))
}
