// A process that an application has forked ends with its request at the latest: it is no second worker, and takes nothing of the
// worker's along.

import assert from 'node:assert/strict'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { needs, PYTHON } from '../helpers/needs.ts'
import { get } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'

const apps = fileURLToPath(new URL('./apps', import.meta.url))

for (const kind of ['sync', 'gevent', 'asgi']) {
  test(`forked requests (${kind}): however a child comes to their end, it goes, and the worker serves on`, async t => {
    if (!needs(t, 'python3', ...(kind === 'gevent' ? (['gevent'] as const) : []))) return
    const server = await serve(t, {
      conf: `
worker_processes 1;
http {
  access_log off;
  app forked { directory "${apps}"; module forked:${kind === 'asgi' ? 'asgi' : 'application'}; kind ${kind}; workers 1;
    python ${PYTHON}; timeout 10s; environment PYTHONDONTWRITEBYTECODE=1; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass forked; } }
}`,
    })
    const worker = (await get(server.port, '/')).text
    assert.match(worker, /^\d+ there$/)
    const statuses = { exit0: 0, exit3: 3 << 8, word: 1 << 8, raise: 1 << 8, return: 0 }
    for (const [how, status] of Object.entries(statuses)) {
      const answer = await get(server.port, `/fork?${how}`)
      assert.deepEqual([answer.status, answer.text], [200, `${worker} ended ${status}`], how)
    }
    assert.equal((await get(server.port, '/')).text, worker)
    if (kind === 'asgi') return
    assert.match(server.output, /^the child has a last word$/m)
    assert.match(
      server.output,
      /error in a process forked by application "forked:application": ValueError: raised in the child/,
    )
    assert.doesNotMatch(server.output, /cancel_wait_ex|LoopExit/)
  })
}
