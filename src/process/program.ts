// What the master needs of the program it runs, which it knows nothing else of: whoever composes the program brings it (src/cli).

import type { FrontStderr } from './front-keeper.ts'
import type { Ending } from './messages.ts'
import type { Plan, TopicMessage } from './plan.ts'
import type { Command } from './successor.ts'

/** What runs beside the threads of one generation: its applications. */
export interface Companions {
  /** '' when they are ready, or why they are not. */
  readonly loaded: Promise<string>
  start(): void
  /** What a thread that joins now has to be told. */
  current(): TopicMessage[]
  receive(content: TopicMessage): void
  /** One worker more or less, where there is one application. */
  resize(by: 1 | -1): void
  /** Another program is about to take over. */
  beforeUpgrade(): void
  /** Threads are to serve again after those that were halted: what has ended with these comes back. */
  resume(): void
  /** @param final the whole program ends */
  stop(ending: Ending, final: boolean): Promise<void>
}

/** What the master runs. */
export interface Program {
  readonly frontEntry: string
  /** That all is well, in words for a service manager. */
  readonly status: string
  /** How the program is started again. */
  readonly again: Command
  /** Reads and checks the configuration. Null: it is wrong, and that has been logged. */
  load(): Promise<Plan | null>
  /** The plan is in use: log where it says. */
  adopt(plan: Plan): void
  companions(plan: Plan, generation: number, broadcast: (content: TopicMessage) => void): Companions
  log(level: number, message: string): void
  reopenLogs(): void
  flushLogs(): void
  /** New addresses are bound. */
  bound(): void
  /** Everything accepts, and the pid file is written. */
  ready(): void
  /** Where a front's own complaints go. */
  frontStderr(): FrontStderr
  /** It is on its way out, and takes no more commands. */
  ending(): void
  /** A successor has gone, and this is the only master again. */
  aloneAgain(): void
}
