// A fetch handler that answers without having read the body: whoever sends it has to get rid of it all the same.

import assert from 'node:assert/strict'
import test from 'node:test'
import { request } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'

const HANDLER = `
export default async request => {
  if (request.url.endsWith('/first')) await request.body.getReader().read()
  return new Response('answered')
}
`

for (const buffering of ['on', 'off']) {
  test(`fetch: a body that is not read to its end is no reason for a 504 (app_request_buffering ${buffering})`, async t => {
    const server = await serve(t, {
      files: { 'site/handler.mjs': HANDLER },
      conf: `
worker_processes 1;
http {
  access_log off;
  app unread { directory %%DIR%%/site; module handler.mjs; workers 1; timeout 5s; }
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location / { app_pass unread; app_request_buffering ${buffering}; }
  }
}`,
    })
    // What the sockets between the two hold lies in between.
    for (const size of [10, 100_000, 200_000, 262_144, 300_000, 1_000_000]) {
      for (const path of ['/none', '/first']) {
        const answer = await request({ address: server.port, method: 'POST', path, body: Buffer.alloc(size, 'x') })
        assert.deepEqual([answer.status, answer.text], [200, 'answered'], `${path} ${size}`)
      }
    }
  })
}
