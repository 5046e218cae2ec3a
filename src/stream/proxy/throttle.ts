// proxy_upload_rate and proxy_download_rate: who sends is not read for as long as what it has sent may take.

import type { Connection } from '../../net/connection.ts'

export class Throttle {
  private readonly rate: number
  private readonly connection: Connection
  private readonly startedAt = performance.now()
  private bytes = 0
  private timer: NodeJS.Timeout | null = null

  /** @param rate bytes a second */
  constructor(rate: number, connection: Connection) {
    this.rate = rate
    this.connection = connection
  }

  /** Is the connection held back at present? */
  get waits(): boolean {
    return this.timer !== null
  }

  read(size: number, resume: () => void): void {
    this.bytes += size
    const ahead = (this.bytes * 1000) / this.rate - (performance.now() - this.startedAt)
    if (ahead < 1 || this.timer !== null) return
    this.connection.pause()
    this.timer = setTimeout(() => {
      this.timer = null
      resume()
    }, ahead)
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}
