// Active health checks: every server of a group is asked at intervals, whether it is in use or not, and one that fails is
// not given requests until it passes again. One thread asks; what it finds out is in the numbers all threads share. Several
// checks of one group must all pass.

import { Timer, timers } from '../lib/timer-wheel.ts'
import { INFO, WARN, type ErrorLog } from '../log/error-log.ts'
import { addWide } from '../zone/wide-counter.ts'
import { CHECK_FAILURES, CHECK_UNHEALTHY, CHECKING, CHECKS, LAST_CHECK, UNHEALTHY } from './peer.ts'
import type { Peer } from './peer.ts'
import type { Group } from './group.ts'

export interface CheckSettings {
  readonly intervalMs: number
  /** Each check is up to so much later. */
  readonly jitterMs: number
  /** In a row, until a server is unhealthy, or healthy. */
  readonly fails: number
  readonly passes: number
  /** A server gets no requests until it has passed. */
  readonly mandatory: boolean
  /** But one that had passed before a reload need not again. */
  readonly persistent: boolean
}

/** Asks a server once after the other. */
export interface Probe {
  /** `done` hears once what is wrong, '' for nothing. */
  ask(peer: Peer, done: (problem: string) => void): void
  stop(): void
}

/** How often it is looked whether servers have come and gone. */
const LOOK_MS = 500

export class HealthChecks {
  readonly settings: CheckSettings
  private readonly group: Group
  private readonly makeProbe: () => Probe
  private readonly log: ErrorLog
  private readonly isMine: () => boolean
  private readonly checked = new Map<Peer, Checked>()
  private readonly look = new Timer<HealthChecks>(this, checks => checks.lookAround())

  constructor(group: Group, settings: CheckSettings, makeProbe: () => Probe, log: ErrorLog, isMine: () => boolean) {
    this.group = group
    this.settings = settings
    this.makeProbe = makeProbe
    this.log = log
    this.isMine = isMine
  }

  start(): void {
    const { mandatory, persistent } = this.settings
    if (mandatory) {
      for (const peer of this.all()) {
        if (!persistent || peer.numbers[LAST_CHECK] === 0) peer.setDown(0, CHECKING)
      }
    }
    this.lookAround()
  }

  stop(): void {
    timers.disarm(this.look)
    for (const one of this.checked.values()) one.stop()
    this.checked.clear()
  }

  private all(): readonly Peer[] {
    this.group.source?.sync(this.group)
    return [...this.group.peers, ...this.group.backups]
  }

  private lookAround(): void {
    if (!this.isMine()) {
      this.stop()
      return
    }
    timers.arm(this.look, LOOK_MS)
    const all = new Set(this.all())
    for (const peer of all) {
      if (this.checked.has(peer)) continue
      const one = new Checked(this, peer, this.makeProbe())
      this.checked.set(peer, one)
      one.askIn(Math.random() * Math.min(this.settings.jitterMs, this.settings.intervalMs))
    }
    for (const [peer, one] of this.checked) {
      if (all.has(peer)) continue
      one.stop()
      this.checked.delete(peer)
    }
  }

  tell(level: number, text: string): void {
    this.log.log(level, `${text} in upstream "${this.group.name}"`)
  }
}

/** Which checks find a server unhealthy, or have not decided yet. */
const verdicts = new WeakMap<Int32Array, Map<HealthChecks, number>>()

class Checked {
  private readonly checks: HealthChecks
  private readonly peer: Peer
  private readonly probe: Probe
  private readonly timer = new Timer<Checked>(this, one => one.ask())
  /** Passed, less than 0: failed, in a row. */
  private row = 0
  private stopped = false

  constructor(checks: HealthChecks, peer: Peer, probe: Probe) {
    this.checks = checks
    this.peer = peer
    this.probe = probe
    this.verdicts.set(checks, peer.down & (UNHEALTHY | CHECKING))
  }

  private get verdicts(): Map<HealthChecks, number> {
    let map = verdicts.get(this.peer.numbers)
    if (map === undefined) {
      map = new Map()
      verdicts.set(this.peer.numbers, map)
    }
    return map
  }

  askIn(ms: number): void {
    timers.arm(this.timer, ms)
  }

  stop(): void {
    this.stopped = true
    timers.disarm(this.timer)
    this.probe.stop()
    this.verdicts.delete(this.checks)
  }

  private ask(): void {
    this.probe.ask(this.peer, problem => {
      if (this.stopped) return
      this.answered(problem)
      const { intervalMs, jitterMs } = this.checks.settings
      this.askIn(intervalMs + Math.random() * jitterMs)
    })
  }

  private answered(problem: string): void {
    const { peer, checks } = this
    const { fails, passes } = checks.settings
    const passed = problem === ''
    addWide(peer.numbers, CHECKS, 1)
    peer.numbers[LAST_CHECK] = passed ? 1 : 2
    this.row = passed ? Math.max(this.row, 0) + 1 : Math.min(this.row, 0) - 1
    const before = this.verdicts.get(checks)!
    if (passed) {
      if (before !== 0 && this.row >= passes) this.decide(0)
      return
    }
    addWide(peer.numbers, CHECK_FAILURES, 1)
    checks.tell(INFO, `health check of peer ${peer.name} failed: ${problem}`)
    if (before !== UNHEALTHY && -this.row >= fails) this.decide(UNHEALTHY)
  }

  private decide(verdict: number): void {
    const { peer, checks } = this
    this.verdicts.set(checks, verdict)
    let all = 0
    for (const one of this.verdicts.values()) all |= one
    const before = peer.down
    // Unhealthy says more than undecided.
    const after = (all & UNHEALTHY) !== 0 ? UNHEALTHY : all
    peer.setDown(UNHEALTHY | CHECKING, after)
    if ((before & UNHEALTHY) === 0 && after === UNHEALTHY) {
      addWide(peer.numbers, CHECK_UNHEALTHY, 1)
      checks.tell(WARN, `peer ${peer.name} is unhealthy`)
    } else if ((before & (UNHEALTHY | CHECKING)) !== 0 && after === 0) {
      peer.fails = 0
      checks.tell(WARN, `peer ${peer.name} is healthy`)
    }
  }
}
