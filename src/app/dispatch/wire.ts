// The events of a connection with a worker, for links: FrameSink has an onData of its own. And where a LOG frame goes.

import { ERR, INFO, WARN } from '../../log/error-log.ts'
import type { ConnectionHandler } from '../../net/connection.ts'
import type { Call } from './call.ts'
import type { Dispatcher } from './dispatcher.ts'

/** By syslog's numbers. */
const LEVELS = [ERR, ERR, ERR, ERR, WARN, WARN, INFO, INFO]
const LEVEL = 7
/** A file with a body is gone as soon as its client is, for example. */
const WHILE_WANTED = 16
/** The application's own words (wsgi.errors), none of ours about it. */
const ITS_OWN = 32

type LogTaker = Pick<Dispatcher, 'settings' | 'log' | 'plain'>

/** A LOG frame goes to the error log. @param call whose response it is about; null: nobody waits for one */
export function passLog(dispatcher: LogTaker, call: Call | null, flags: number, text: string): void {
  if ((flags & WHILE_WANTED) !== 0 && call === null) return
  const level = LEVELS[flags & LEVEL] ?? ERR
  const words = Buffer.from(text, 'utf8').toString('latin1')
  if ((flags & ITS_OWN) !== 0 && dispatcher.settings.wsgiErrors === 'plain') return dispatcher.plain(words)
  if (call === null) dispatcher.log(level, words)
  else call.onLog(level, words)
}

export interface WireUser {
  onBytes(chunk: Buffer): void
  onEnd(): void
  onWritable(): void
  onClose(error: NodeJS.ErrnoException | null): void
}

export class Wire implements ConnectionHandler {
  private readonly link: WireUser
  constructor(link: WireUser) {
    this.link = link
  }
  onData(chunk: Buffer): void {
    this.link.onBytes(chunk)
  }
  onEnd(): void {
    this.link.onEnd()
  }
  onDrain(): void {
    this.link.onWritable()
  }
  onClose(error: NodeJS.ErrnoException | null): void {
    this.link.onClose(error)
  }
}
