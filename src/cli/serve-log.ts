// What the master of `portico serve` has to say before it serves: an address in use is tried again for a while, and told once.
// Who has written options and no configuration hears what to do about it, and no line of a file that nobody sees.

import { MasterLog } from './master-log.ts'

/** Lines of the configuration that was made of the options. */
const LINE = / in portico serve:\d+$/
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/^bind\(\) to .*\(98: [^()]*\)$/, ': another program listens there; -b names another address'],
  [/^bind\(\) to (?!unix:).*\(13: [^()]*\)$/, ': ports below 1024 are for root, and for who has CAP_NET_BIND_SERVICE'],
]

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
    const advice = ADVICE.find(([pattern]) => pattern.test(message))?.[1] ?? ''
    super.write(level, message.replace(LINE, '') + advice)
  }
}
