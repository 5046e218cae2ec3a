// What process 1 of a container owes to the others in it. It becomes the parent of every process whose own has gone (what an
// application's worker has started and not waited for), and each that ends stays in the table of processes until it is waited for:
// Node waits for those alone that it has started itself.

import type { ChildProcess } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { dlopen } from 'node:ffi'

const P_ALL = 0
const WNOHANG = 1
const WEXITED = 4
/** It stays to be waited for. */
const WNOWAIT = 0x01000000
/** Of siginfo_t, and where the pid is in it. */
const SIGINFO_BYTES = 128
const SI_PID = 16
/** Node is about to wait for one of its own, behind which others may stand. */
const AGAIN_MS = 50

interface Calls {
  waitid(type: number, id: number, info: Buffer, options: number): number
  waitpid(pid: number, status: Buffer, options: number): number
}

/** For the process that orphans are given to. */
export function adoptOrphans(): void {
  new Orphans(load()).begin()
}

class Orphans {
  private readonly calls: Calls
  /** Node's children that have not been waited for. */
  private readonly own = new Set<ChildProcess>()
  private readonly info = Buffer.alloc(SIGINFO_BYTES)
  private timer: NodeJS.Timeout | null = null

  constructor(calls: Calls) {
    this.calls = calls
  }

  begin(): void {
    subscribe('child_process', message => this.started((message as { process: ChildProcess }).process))
    process.on('SIGCHLD', () => this.look())
    this.look()
  }

  private started(child: ChildProcess): void {
    this.own.add(child)
    const gone = (): boolean => this.own.delete(child)
    child.once('exit', gone)
    // Where it could not even be started.
    child.once('error', () => child.pid === undefined && gone())
  }

  private look(): void {
    this.timer = null
    for (let pid = this.ended(); pid !== 0; pid = this.ended()) {
      if (this.isOwn(pid)) {
        this.timer ??= setTimeout(() => this.look(), AGAIN_MS).unref()
        return
      }
      if (this.calls.waitpid(pid, this.info, WNOHANG) !== pid) return
    }
  }

  /** The first of all children that have ended; 0: none has. */
  private ended(): number {
    this.info.fill(0)
    const found = this.calls.waitid(P_ALL, 0, this.info, WEXITED | WNOHANG | WNOWAIT)
    return found === 0 ? this.info.readInt32LE(SI_PID) : 0
  }

  private isOwn(pid: number): boolean {
    for (const child of this.own) if (child.pid === pid) return true
    return false
  }
}

function load(): Calls {
  const { functions } = dlopen(null, {
    waitid: { arguments: ['i32', 'u32', 'buffer', 'i32'], return: 'i32' },
    waitpid: { arguments: ['i32', 'buffer', 'i32'], return: 'i32' },
  }) as unknown as { functions: Calls }
  return functions
}
