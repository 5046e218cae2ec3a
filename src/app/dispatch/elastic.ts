// An application whose number of workers may change by itself (`workers 2..16`): tells the master when requests wait, and which
// workers have had nothing to do.

import type { AppRequest, AppSettings } from '../app.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import type { Links } from './links.ts'
import type { Load } from './load.ts'
import type { Prefetch } from './prefetch.ts'

/** How often the master hears how many workers are in use. */
const LOAD_MS = 1000

export class Elastic {
  private readonly name: string
  private readonly links: Links
  private readonly load: Load
  private readonly prefetch: Prefetch | null
  private readonly toMaster: (request: AppRequest) => void
  private readonly timer: Timer<Elastic>

  /** @param reports does this thread tell of idle workers? One does for all. */
  constructor(
    settings: AppSettings,
    links: Links,
    load: Load,
    prefetch: Prefetch | null,
    toMaster: (request: AppRequest) => void,
    reports: boolean,
  ) {
    this.name = settings.name
    this.links = links
    this.load = load
    this.prefetch = prefetch
    this.toMaster = toMaster
    this.timer = new Timer<Elastic>(this, report)
    if (reports) timers.arm(this.timer, LOAD_MS)
  }

  /** Requests wait. Where workers do nothing but compute, more of them than processors would be of no use. */
  grow(): void {
    const most = this.prefetch === null ? 0 : this.prefetch.pace.most
    if (most === 0 || this.links.all.length < most) this.toMaster({ type: 'grow', app: this.name, slot: 0, pid: 0 })
  }

  /** For Timer. */
  onLoad(): void {
    timers.arm(this.timer, LOAD_MS)
    const idle = this.load.idle(this.links.all)
    this.toMaster({ type: 'load', app: this.name, slot: 0, pid: 0, idle })
  }

  stop(): void {
    timers.disarm(this.timer)
  }
}

function report(elastic: Elastic): void {
  elastic.onLoad()
}
