// What is to be done later, one thing at a time: the next replaces it.

import { delay } from '../../lib/longest-delay.ts'

export class Pending {
  private timer: NodeJS.Timeout | null = null

  get isSet(): boolean {
    return this.timer !== null
  }

  in(ms: number, run: () => void): void {
    this.clear()
    this.timer = setTimeout(() => {
      this.timer = null
      run()
    }, delay(ms))
  }

  clear(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}
