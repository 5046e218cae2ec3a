// A health check that makes a connection of its own for each question: what is the same in all protocols.

import { errorText } from '../../lib/errno.ts'
import type { Probe } from '../../upstream/health-checks.ts'
import type { Peer } from '../../upstream/peer.ts'
import type { PeerConnection, PeerUser } from '../../upstream/peer-connection.ts'
import { connectionTo, type ProbeSettings } from './health-probe.ts'
import type { Passed } from './passed.ts'

export abstract class SingleProbe implements Probe, PeerUser {
  protected readonly settings: ProbeSettings
  protected readonly passed: Passed
  protected link: PeerConnection | null = null
  protected done: ((problem: string) => void) | null = null
  private connecting = true

  constructor(settings: ProbeSettings, passed: Passed) {
    this.settings = settings
    this.passed = passed
  }

  /** All that is written. */
  protected abstract readonly request: string
  /** Forgets the last answer. */
  protected abstract begin(): void
  abstract onData(chunk: Buffer): void

  ask(peer: Peer, done: (problem: string) => void): void {
    this.done = done
    this.connecting = true
    this.begin()
    this.link = connectionTo(peer, this.settings.port, this.passed, this)
    this.link.watch(this.passed.connectTimeout)
  }

  stop(): void {
    this.done = null
    this.drop()
  }

  private drop(): void {
    const { link } = this
    this.link = null
    link?.close()
  }

  /** @returns false: no more is read */
  protected answer(problem: string): false {
    const { done } = this
    this.done = null
    this.drop()
    done?.(problem)
    return false
  }

  onConnect(): void {
    this.connecting = false
    this.link!.connection.writeText(this.request)
    this.link!.watch(this.passed.readTimeout)
  }

  onDrain(): void {}

  onEnd(): void {
    this.answer('connection closed prematurely')
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.link = null
    if (error === null) this.onEnd()
    else this.answer(`${this.connecting ? 'connect' : 'recv'}() failed (${errorText(error)})`)
  }

  onTimeout(): void {
    this.answer(`timed out while ${this.connecting ? 'connecting' : 'reading response'}`)
  }
}
