// How `npm test` reports: as node's own spec reporter, but with the summary at the very end, after the failures, where both
// people and programs look for it. Where PORTICO_TEST_RESULT names a file, it is written there too, with the files that failed.

import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { Readable } from 'node:stream'
import { spec } from 'node:test/reporters'
import type { TestEvent } from 'node:test/reporters'

/** What a run came to, in the file that PORTICO_TEST_RESULT names. */
export interface TestResult {
  /** node's own counts: `tests 3`, `pass 2`, `fail 1`, … */
  readonly summary: readonly string[]
  /** Files with a test that failed, from the current directory. */
  readonly failed: readonly string[]
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const summary: string[] = []
  const failed = new Set<string>()
  const reporter = Readable.from(withoutSummary(events, summary, failed)).pipe(new spec())
  for await (const text of reporter) yield String(text)
  const result: TestResult = { summary, failed: [...failed].sort() }
  const path = process.env['PORTICO_TEST_RESULT'] ?? ''
  if (path !== '') writeFileSync(path, JSON.stringify(result))
  yield `\n${summary.map(line => `ℹ ${line}\n`).join('')}`
}

/** The counts come as diagnostics that belong to no file. */
async function* withoutSummary(
  events: AsyncIterable<TestEvent>,
  summary: string[],
  failed: Set<string>,
): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    if (event.type === 'test:diagnostic' && event.data.nesting === 0 && event.data.file === undefined) {
      summary.push(event.data.message)
      continue
    }
    // A test's own `skip` and `todo` fail nothing.
    if (event.type === 'test:fail' && event.data.file !== undefined && event.data.todo === undefined) {
      failed.add(relative(process.cwd(), event.data.file))
    }
    yield event
  }
}
