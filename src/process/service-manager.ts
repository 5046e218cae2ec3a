// What a service manager (systemd) is told, as sd_notify(3) and sd_watchdog_enabled(3) say: that the service is ready, reads its
// configuration anew, ends, has another main process; and, where it asks for it (WatchdogSec=), twice in each of its intervals
// that the threads answer. A service manager that does not listen is no concern of ours.

import { DatagramSocket } from '../log/datagram.ts'

type Environment = Record<string, string | undefined>

export class ServiceManager {
  /** A byte a character, NUL first where the name is abstract; '' where there is none. */
  private readonly path: string
  /** Of the watchdog, in ms; 0: none is asked for. */
  private readonly interval: number
  private readonly predecessor: number
  private timer: NodeJS.Timeout | null = null

  /** @param predecessor the pid of the process that left its place to this one, 0 if none did */
  constructor(predecessor: number, environment: Environment = process.env, pid: number = process.pid) {
    this.predecessor = predecessor
    this.path = Buffer.from(environment['NOTIFY_SOCKET'] ?? '', 'utf8')
      .toString('latin1')
      .replace(/^@/, '\0')
    const meant = Number(environment['WATCHDOG_PID'] ?? pid)
    const microseconds = Number(environment['WATCHDOG_USEC'] ?? 0)
    const mine = meant === pid || (predecessor !== 0 && meant === predecessor)
    // Whom this process leaves its place to is its heir in this, too.
    if (mine && environment['WATCHDOG_PID'] !== undefined) environment['WATCHDOG_PID'] = `${pid}`
    this.interval = mine && Number.isSafeInteger(microseconds) && microseconds > 0 ? microseconds / 1000 : 0
  }

  ready(status: string): void {
    this.tell(`READY=1\nSTATUS=${status}`)
  }

  /** `Type=notify-reload` waits for this and the next ready(). */
  reloading(): void {
    this.tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
  }

  stopping(): void {
    this.unwatch()
    this.tell('STOPPING=1')
  }

  /** This process goes, and the service goes on in another: only the main process may say so. */
  succeededBy(pid: number): void {
    this.unwatch()
    this.nameMain(pid)
  }

  /**
   * The process before this one has gone. When it named this one it was its parent, so that systemd has it for somebody else's
   * child: a stop would not wait for it, and kill it at once. Systemd looks again when another is named in between, who must
   * be the one to name this one then.
   * @param relay a process of the service
   */
  promoted(relay: { readonly pid: number; nameMain(pid: number): void }): void {
    if (this.path === '' || this.predecessor === 0 || relay.pid === 0) return
    this.tell(`MAINPID=${relay.pid}`)
    relay.nameMain(process.pid)
  }

  /** In such a process. */
  nameMain(pid: number): void {
    this.tell(`MAINPID=${pid}`)
  }

  /** @param ask calls back when all threads have answered; the next question comes whether they have or not */
  watch(ask: (answered: () => void) => void): void {
    if (this.path === '' || this.interval === 0 || this.timer !== null) return
    const question = (): void => ask(() => this.tell('WATCHDOG=1'))
    question()
    this.timer = setInterval(question, Math.max(1, this.interval / 2))
    this.timer.unref()
  }

  private unwatch(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  private tell(state: string): void {
    if (this.path === '') return
    const socket = new DatagramSocket({ path: this.path })
    socket.send(Buffer.from(state))
    socket.close()
  }
}
