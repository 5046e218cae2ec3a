// proxy_upload_rate and proxy_download_rate for datagrams, which are never divided: one may be too much for its second, and is
// made up for by the time until the next (ngx_stream_proxy_process).

export class DatagramRate {
  /** The next one has to wait, or is lost. */
  delayed = false
  private readonly rate: number
  private readonly startedAt = seconds()
  private readonly resume: () => void
  private timer: NodeJS.Timeout | null = null

  /** @param rate bytes a second; `resume` is called after each delay */
  constructor(rate: number, resume: () => void) {
    this.rate = rate
    this.resume = resume
  }

  /** May one more pass, after so many bytes? */
  admits(bytes: number): boolean {
    if (this.delayed) return false
    const left = this.rate * (seconds() - this.startedAt + 1) - bytes
    if (left > 0) return true
    this.delay((-left * 1000) / this.rate + 1)
    return false
  }

  passed(size: number): void {
    const ms = Math.trunc((size * 1000) / this.rate)
    if (ms > 0) this.delay(ms)
  }

  private delay(ms: number): void {
    this.delayed = true
    this.timer = setTimeout(() => {
      this.delayed = false
      this.timer = null
      this.resume()
    }, ms)
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
  }
}

function seconds(): number {
  return Math.floor(Date.now() / 1000)
}
