// The control interface of a running program: there is one while the configuration asks for it. A reload may move it, an upgrade
// hands it over. That it cannot be had is told in the log and is no reason not to serve, as with Gunicorn.

import { ERR, NOTICE } from '../log/error-log.ts'
import type { ControlPlace, ControlSocket } from '../process/control-socket.ts'
import type { RunningProgram } from './program.ts'
import type { ControlServer } from './server.ts'

type Log = (level: number, message: string) => void

export class Control {
  private readonly program: RunningProgram
  private readonly predecessor: () => number
  private readonly log: Log
  private place: ControlPlace | null = null
  private socket: ControlSocket | null = null
  private server: ControlServer | null = null
  /** What is being done: one thing at a time. */
  private busy: Promise<void> = Promise.resolve()
  private closed = false

  /** @param predecessor the pid of the master this one replaces, as long as that lives; else 0 */
  constructor(program: RunningProgram, predecessor: () => number, log: Log) {
    this.program = program
    this.predecessor = predecessor
    this.log = log
  }

  /** From now on it is to be there. What is there already, and as it should be, stays. */
  use(place: ControlPlace | null): Promise<void> {
    this.place = place
    return this.restore()
  }

  /** Makes it anew where it has been lost: another master had taken it over, and has gone. */
  restore(): Promise<void> {
    this.busy = this.busy.then(() => this.settle())
    return this.busy
  }

  /** The program ends. */
  close(): void {
    this.closed = true
    this.drop()
  }

  private async settle(): Promise<void> {
    const { place } = this
    if (this.closed || this.isAt(place)) return
    this.drop()
    if (place === null) return
    // Loaded where it is asked for.
    const [{ ControlSocket }, { ControlServer }] = await Promise.all([
      import('../process/control-socket.ts'),
      import('./server.ts'),
    ])
    try {
      this.socket = await ControlSocket.open(place, this.predecessor())
    } catch (error) {
      this.log(place.optional ? NOTICE : ERR, `no control socket: ${(error as Error).message}`)
      return
    }
    this.server = new ControlServer(this.socket.fd, this.program)
    if (this.closed) this.drop()
    else this.log(NOTICE, `control socket "${place.path}"`)
  }

  private isAt(place: ControlPlace | null): boolean {
    if (this.socket === null || place === null) return this.socket === place
    const now = this.socket.place
    return now.path === place.path && now.mode === place.mode && this.socket.isThere
  }

  private drop(): void {
    this.socket?.remove()
    this.server?.close()
    this.socket = this.server = null
  }
}
