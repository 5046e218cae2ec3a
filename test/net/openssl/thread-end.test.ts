// What a thread has of OpenSSL's is given back when it ends: a reload ends all of them.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { Worker } from 'node:worker_threads'

const CONTEXTS = 200

function urlOf(name: string): string {
  return new URL(`../../../src/net/openssl/${name}.ts`, import.meta.url).href
}

/** Makes contexts and a connection with each, keeps them, and ends as a front's thread does. */
const code = `Promise.all(${JSON.stringify(['context', 'library', 'thread-end'].map(urlOf))}.map(url => import(url))).then(
  ([{ TlsContext }, { openssl }, { begun }]) => {
    globalThis.kept = Array.from({ length: ${CONTEXTS} }, () => {
      const context = new TlsContext()
      begun({ pointer: openssl().SSL_new(context.pointer), older: null, newer: null })
      return context
    })
    process.exit(0)
  },
)`

/** Memory of the process that is no JavaScript's, in kB. */
function resident(): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))![1])
}

test('contexts and connections go with the thread that has made them', async () => {
  const threads = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) await once(new Worker(code, { eval: true, stderr: true }), 'exit')
    return resident()
  }
  const before = await threads(6)
  const grown = (await threads(12)) - before
  // A context is about 15 kB: what is lost otherwise is more than twice this.
  assert.ok(grown < 16_000, `${grown} kB`)
})
