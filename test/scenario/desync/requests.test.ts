// Nobody may smuggle a request past us: whatever a client sends, every request that a back end sees is one that the client's
// bytes contain as RFC 9112 has it, in their order and with their bodies, and the client is told as many answers. Back ends of
// all kinds, over connections that are used again for the next conversation.

import test from 'node:test'
import { seed } from '../../codec/h1/feeding.ts'
import { serveHttp } from '../../helpers/http.ts'
import { fastcgi, http, scgi, uwsgi } from './backends.ts'
import type { Backend } from './backends.ts'
import { converseAtRandom } from './converse.ts'

const CASES = Number(process.env['DESYNC'] ?? 400)
const PARAMS = (kind: string): string =>
  `${kind}_param REQUEST_METHOD $request_method; ${kind}_param REQUEST_URI $request_uri; ${kind}_param X $uri;` +
  (kind === 'scgi' ? '' : `${kind}_param CONTENT_LENGTH $content_length;`)

interface Kind {
  readonly name: string
  readonly make: (t: test.TestContext) => Promise<Backend>
  readonly pass: string
}

const kinds: readonly Kind[] = [
  { name: 'HTTP/1.1', make: http, pass: 'proxy_pass http://back;' },
  {
    name: 'HTTP/1.1, bodies as they come',
    make: http,
    pass: 'proxy_pass http://back; proxy_request_buffering off; proxy_pass_trailers on;',
  },
  {
    name: 'HTTP/1.1 with another path',
    make: http,
    pass: 'rewrite ^ $uri break; proxy_pass http://back; proxy_set_header X $uri;',
  },
  {
    name: 'HTTP/1.1, upgrades asked for',
    make: http,
    pass: 'proxy_pass http://back; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;',
  },
  { name: 'FastCGI', make: fastcgi, pass: `fastcgi_pass back; fastcgi_keep_conn on; ${PARAMS('fastcgi')}` },
  {
    name: 'FastCGI, bodies as they come',
    make: fastcgi,
    pass: `fastcgi_pass back; fastcgi_keep_conn on; fastcgi_request_buffering off; ${PARAMS('fastcgi')}`,
  },
  { name: 'uwsgi', make: uwsgi, pass: `uwsgi_pass back; ${PARAMS('uwsgi')}` },
  {
    name: 'uwsgi, bodies as they come',
    make: uwsgi,
    pass: `uwsgi_pass back; uwsgi_request_buffering off; ${PARAMS('uwsgi')}`,
  },
  { name: 'SCGI', make: scgi, pass: `scgi_pass back; ${PARAMS('scgi')}` },
  {
    name: 'SCGI, bodies as they come',
    make: scgi,
    pass: `scgi_pass back; scgi_request_buffering off; ${PARAMS('scgi')}`,
  },
]

const start = seed()

for (const { name, make, pass } of kinds) {
  test(`no request is smuggled past us to ${name} (FUZZ_SEED=${start})`, { timeout: 120_000 + CASES * 20 }, async t => {
    const back = await make(t)
    const server = await serveHttp(
      t,
      `location / { ${pass} } client_max_body_size 100k; client_body_buffer_size 64;`,
      `upstream back { server 127.0.0.1:${back.port}; keepalive 4; }`,
    )
    await converseAtRandom(t, server.port, back, start, CASES)
  })
}
