// The applications of one configuration as the master runs them beside its threads.

import { closeSync, openSync } from 'node:fs'
import { APP_TOPIC } from '../app/app.ts'
import type { AppRequest, AppSettings } from '../app/app.ts'
import type { AppPool } from '../app/pool/pool.ts'
import type { Output } from '../app/pool/spawner.ts'
import type { Companions } from '../process/master.ts'
import type { Ending } from '../process/messages.ts'
import type { Plan, TopicMessage } from '../process/plan.ts'

export interface Surroundings {
  /** Where applications print to: a daemon's have its error log, since nobody looks at a terminal. */
  readonly daemon: boolean
  log(level: number, message: string): void
  broadcast(content: TopicMessage): void
}

export class Applications implements Companions {
  readonly loaded: Promise<string>
  private readonly apps: readonly AppSettings[]
  private readonly plan: Plan
  private readonly generation: number
  private readonly around: Surroundings
  private pools: AppPool[] = []
  private ending: Ending | null = null
  private output: Output = 'inherit'
  private settle: (error: string) => void = () => {}

  constructor(apps: readonly AppSettings[], plan: Plan, generation: number, around: Surroundings) {
    this.apps = apps
    this.plan = plan
    this.generation = generation
    this.around = around
    this.loaded = apps.length === 0 ? Promise.resolve('') : new Promise(resolve => (this.settle = resolve))
  }

  start(): void {
    if (this.apps.length > 0) void this.startPools()
  }

  current(): TopicMessage[] {
    return this.pools.flatMap(pool => pool.current()).map(message => ({ topic: APP_TOPIC, message }))
  }

  receive({ topic, message }: TopicMessage): void {
    if (topic !== APP_TOPIC) return
    const request = message as AppRequest
    this.pools.find(pool => pool.settings.name === request.app)?.request(request)
  }

  resize(by: 1 | -1): void {
    if (this.pools.length === 1) this.pools[0]!.resize(by)
  }

  async stop(ending: Ending): Promise<void> {
    this.ending = ending
    await Promise.all(this.pools.map(pool => pool.stop(ending === 'graceful', pool.settings.gracefulTimeout)))
    if (typeof this.output === 'number') closeSync(this.output)
    this.output = 'inherit'
  }

  /** The code for pools is loaded only where there is an application, and while the front starts. */
  private async startPools(): Promise<void> {
    const { AppPool } = await import('../app/pool/pool.ts')
    if (this.ending !== null) {
      this.settle('stopped')
      return
    }
    const { user, threads } = this.plan
    this.output = this.around.daemon ? openOutput(this.plan.errorLog[0]?.path ?? null) : 'inherit'
    const { output } = this
    this.pools = this.apps.map(
      settings =>
        new AppPool({
          settings,
          generation: this.generation,
          frontThreads: threads,
          output,
          runDirectory: '',
          front: user === null ? null : { user: user.name, group: `${user.gid}` },
          log: (level, message) => this.around.log(level, message),
          notify: message => this.around.broadcast({ topic: APP_TOPIC, message }),
        }),
    )
    for (const pool of this.pools) pool.start()
    const errors = await Promise.all(this.pools.map(pool => pool.loaded))
    this.settle(errors.find(error => error !== '') ?? '')
  }
}

function openOutput(path: string | null): number {
  return openSync(path === null ? '/dev/null' : Buffer.from(path, 'latin1'), 'a', 0o644)
}
