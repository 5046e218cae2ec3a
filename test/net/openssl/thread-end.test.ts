// What a thread has of OpenSSL's is given back when it ends: a reload ends all of them.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { Worker } from 'node:worker_threads'

const context = new URL('../../../src/net/openssl/context.ts', import.meta.url)
const CONTEXTS = 200

/** Makes contexts, keeps them, and ends as a front's thread does. */
const code = `import(${JSON.stringify(context.href)}).then(({ TlsContext }) => {
  globalThis.kept = Array.from({ length: ${CONTEXTS} }, () => new TlsContext())
  process.exit(0)
})`

/** Memory of the process that is no JavaScript's, in kB. */
function resident(): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))![1])
}

test('contexts go with the thread that has made them', async () => {
  const threads = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) await once(new Worker(code, { eval: true, stderr: true }), 'exit')
    return resident()
  }
  const before = await threads(6)
  const grown = (await threads(12)) - before
  // A context is about 15 kB: what is lost otherwise is more than twice this.
  assert.ok(grown < 16_000, `${grown} kB`)
})
