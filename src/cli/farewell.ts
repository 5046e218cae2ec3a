// When a thread retires its requests are answered, and what then is left are connections that nobody here can end: websockets,
// streams of events. Applications of kind node may have something to tell these (1001, a last event), and are told by SIGTERM as
// soon as all threads have come so far. They are not told before, for many of them end at once or refuse further requests.

import { goodbyeAfter } from '../app/node-start.ts'
import type { CompiledHttp } from '../http/server/compile.ts'

/** Thread → master: the number of the thread. */
export const FAREWELL_TOPIC = 'farewell'

const LOOK_MS = 50

export class Farewell {
  private readonly http: CompiledHttp
  private readonly until: number
  private readonly tell: () => void
  private readonly timer: NodeJS.Timeout
  private told = false

  /** @param shutdownMs after which connections are cut, 0: never */
  constructor(http: CompiledHttp, shutdownMs: number, tell: () => void) {
    this.http = http
    this.until = shutdownMs === 0 ? Infinity : performance.now() + goodbyeAfter(shutdownMs)
    this.tell = tell
    this.timer = setInterval(() => this.look(), LOOK_MS)
    this.timer.unref()
  }

  private look(): void {
    if (this.http.expectsRequests && performance.now() < this.until) return
    this.http.keepNone()
    this.say()
  }

  /** Nothing is left at all, or what is left has been looked at. */
  say(): void {
    clearInterval(this.timer)
    if (this.told) return
    this.told = true
    this.tell()
  }
}
