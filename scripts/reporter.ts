// How `npm test` reports: as node's own spec reporter, but with the summary at the very end, after the failures, where both
// people and programs look for it.

import { Readable } from 'node:stream'
import { spec } from 'node:test/reporters'
import type { TestEvent } from 'node:test/reporters'

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const summary: string[] = []
  const reporter = Readable.from(withoutSummary(events, summary)).pipe(new spec())
  for await (const text of reporter) yield String(text)
  yield `\n${summary.map(line => `ℹ ${line}\n`).join('')}`
}

/** The counts come as diagnostics that belong to no file. */
async function* withoutSummary(events: AsyncIterable<TestEvent>, summary: string[]): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    if (event.type === 'test:diagnostic' && event.data.nesting === 0 && event.data.file === undefined) {
      summary.push(event.data.message)
    } else yield event
  }
}
