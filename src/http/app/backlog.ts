// Who waits to be served, as Gunicorn's `gunicorn.backlog` tells it: connections that wait in the kernel to be accepted, and requests that
// wait for a worker. Here the front accepts at once, so that the second is what there is to see; Gunicorn has only the first.
//
//   each thread, every second: what waits in it ─▶ its cell in shared memory      the first thread: all cells and the sockets ─▶ tell

import { BACKLOGGED, isListening, tcpInfo } from '../../net/tcp-info.ts'
import type { Registry, ThreadServices } from '../setup.ts'
import type { Application } from './application.ts'

const PERIOD_MS = 1000
const THREADS_MAX = 1024

export class Backlog {
  static readonly bytes = THREADS_MAX * Int32Array.BYTES_PER_ELEMENT
  private readonly timer: NodeJS.Timeout
  private readonly services: ThreadServices
  private readonly applications: Registry<Application>
  private readonly cells: Int32Array
  private readonly cell: number
  private readonly tell: (waiting: number) => void

  /** @param memory of all threads */
  constructor(
    services: ThreadServices,
    memory: SharedArrayBuffer,
    applications: Registry<Application>,
    tell: (waiting: number) => void,
  ) {
    this.services = services
    this.applications = applications
    this.tell = tell
    this.cells = new Int32Array(memory)
    this.cell = services.thread % THREADS_MAX
    this.timer = setInterval(() => this.look(), PERIOD_MS)
    this.timer.unref()
  }

  private look(): void {
    const { applications, cells, services } = this
    let own = 0
    for (const { backlog } of applications.values()) own += backlog
    Atomics.store(cells, this.cell, own)
    if (services.thread !== 0) return
    let waiting = 0
    for (let i = 0; i < Math.min(services.threads, THREADS_MAX); i++) waiting += Atomics.load(cells, i)
    for (const fd of services.listening) if (isListening(fd)) waiting += tcpInfo(fd, BACKLOGGED) ?? 0
    this.tell(waiting)
  }

  /** Its number in the memory may be another thread's by now, after a reload. */
  stop(): void {
    clearInterval(this.timer)
  }
}
