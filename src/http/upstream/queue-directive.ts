// `queue NUMBER [timeout=TIME]`: requests wait when no peer can take them, as with NGINX Plus. `concurrency=` makes it the
// group's protection from surges: so many requests at a time, so many waiting, and 503 with Retry-After for the rest.

import { UPSTREAM } from '../../config/directive.ts'
import type { Directive, Site } from '../../config/directive.ts'
import { parseNumber, parseSeconds, parseTime } from '../../config/units.ts'
import { Queue, QUEUE_BYTES } from '../../upstream/queue.ts'
import type { HttpSetup } from '../setup.ts'
import { whenThreadEnds } from './thread-end.ts'

export interface QueueDeclaration {
  readonly size: number
  readonly timeoutMs: number
  readonly concurrency: number
  /** Seconds for Retry-After. */
  readonly retryAfter: number
}

const TIMEOUT_MS = 60_000
const RETRY_AFTER = 1

export function queueDirective(): Directive<QueueDeclaration | null> {
  return {
    in: UPSTREAM,
    args: [1, 4],
    default: null,
    parse([number, ...parameters], at) {
      const size = parseNumber(number!) ?? at.fail(`invalid value "${number}" in "queue" directive`)
      const queue = { size, timeoutMs: TIMEOUT_MS, concurrency: 0, retryAfter: RETRY_AFTER }
      for (const parameter of parameters) readParameter(parameter, queue, at)
      if (size === 0 && queue.concurrency === 0) at.fail('a queue for nobody needs a "concurrency"')
      return queue
    },
  }
}

type Draft = { -readonly [K in keyof QueueDeclaration]: QueueDeclaration[K] }

function readParameter(parameter: string, queue: Draft, at: Site): void {
  const refuse = (): never => at.fail(`invalid parameter "${parameter}"`)
  const [name, value] = parameter.split(/=(.*)/s) as [string, string?]
  if (value === undefined) refuse()
  else if (name === 'timeout') queue.timeoutMs = parseTime(value) || refuse()
  else if (name === 'concurrency') queue.concurrency = parseNumber(value) || refuse()
  else if (name === 'retry_after') queue.retryAfter = parseSeconds(value) ?? refuse()
  else refuse()
}

/** Counted by all threads together, whether the group has a zone or not. */
export function queueFor(declaration: QueueDeclaration, group: string, http: HttpSetup): Queue {
  const queue = new Queue(declaration)
  const memory = `queue ${group}`
  http.sharedMemory(memory, QUEUE_BYTES)
  http.onStart(services => queue.share(services.shared(memory)))
  whenThreadEnds(http, () => queue.stop())
  return queue
}
