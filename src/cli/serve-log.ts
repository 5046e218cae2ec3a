// What the master of `portico serve` has to say before it serves: an address in use is tried again for a while, and told once.

import { MasterLog } from './master-log.ts'

export class ServeLog extends MasterLog {
  private readonly told = new Set<string>()

  constructor(name: string) {
    super(name, null)
  }

  override write(level: number, message: string): void {
    if (this.verbose && message.includes('bind()')) {
      if (this.told.size > 0 && (this.told.has(message) || message.startsWith('still'))) return
      this.told.add(message)
    }
    super.write(level, message)
  }
}
