// $uri is decoded: a client decides what is in it, line ends too. Wherever a configuration puts it, it may end no line, neither
// of an answer nor of a request that goes on.

import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { frame, http2, headers } from '../../helpers/http2.ts'
import { raw } from '../../helpers/index.ts'
import { MessageReader } from '../../helpers/message.ts'
import { fastcgi, http, scgi, uwsgi } from './backends.ts'

const PATHS = ['%0d%0aEvil:%20x%0d%0a%0d%0aGET%20/evil', '%0aEvil:%20x', '%0dEvil:%20x', '%20x%0d%0a%20Evil:%20x']

const LOCATIONS: readonly string[] = [
  'return 302 $uri;',
  'return 301 http://x$uri;',
  'return 200 $uri;',
  'add_header X $uri; return 200 ok;',
  'add_header Last-Modified $uri; add_header ETag $uri; return 200 ok;',
  'add_header Location $uri; add_header Content-Type $uri; add_header Set-Cookie a=$uri; return 201 ok;',
  'set $a $uri; add_header X $a always; return 404;',
  'rewrite ^(?s:.*)$ http://x$uri redirect;',
  'error_page 404 http://x$uri; return 404;',
  'error_page 404 =302 $uri; return 404;',
  'default_type $uri; return 200 ok;',
  'charset $uri; default_type text/plain; return 200 ok;',
  'expires $uri; return 200 ok;',
  'auth_basic $uri; auth_basic_user_file users; return 200 ok;',
  'add_trailer X $uri; proxy_pass http://back;',
  'proxy_pass http://back$uri;',
  'proxy_pass http://back/?$uri;',
  'proxy_pass http://back/x/;',
  'rewrite ^ $uri break; proxy_pass http://back;',
  'rewrite ^ /x?a=$uri? break; proxy_pass http://back;',
  'rewrite (?s)^(.*)$ /x?a=$1? break; proxy_pass http://back;',
  'set $args $uri; proxy_pass http://back;',
  'set $args $uri; rewrite ^ /x break; proxy_pass http://back/y/;',
  'proxy_method $uri; proxy_pass http://back;',
  'proxy_set_header X $uri; proxy_set_header Cookie a=$uri; proxy_pass http://back;',
  'proxy_set_header Host $uri; proxy_pass http://back;',
  'proxy_set_header Connection $uri; proxy_set_header Upgrade $uri; proxy_pass http://back;',
  'proxy_set_body $uri; proxy_pass http://back;',
  'proxy_set_header Content-Length $uri; proxy_set_header Transfer-Encoding $uri; proxy_pass http://back;',
  'proxy_redirect ~ $uri; proxy_cookie_path / $uri; proxy_cookie_flags ~ $uri; proxy_pass http://back;',
  'proxy_cache z; proxy_cache_key $uri; proxy_cache_valid any 1m; proxy_pass http://back;',
  'mirror /mirror; proxy_pass http://back;',
  'auth_request /mirror; auth_request_set $a $uri; proxy_set_header X $a; proxy_pass http://back;',
  'fastcgi_pass fast; fastcgi_keep_conn on; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param REQUEST_URI $uri; fastcgi_param X $request_body;',
  'uwsgi_pass uwsgi; uwsgi_param REQUEST_METHOD $request_method; uwsgi_param REQUEST_URI $uri; uwsgi_param CONTENT_LENGTH $content_length;',
  'scgi_pass scgi; scgi_param REQUEST_METHOD $request_method; scgi_param REQUEST_URI $uri; scgi_param X $request_body;',
]

/** The lines of a head; none may be the client's. */
function checkHead(head: string): void {
  assert.doesNotMatch(head, /(?:^|[\r\n])[ \t]*evil/i)
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(head.replaceAll('\r\n', ''), /[\0\r\n]/)
}

for (const location of LOCATIONS) {
  test(`line ends in variables end no line: ${location}`, async t => {
    const [back, fast, packets, strings] = [await http(t), await fastcgi(t), await uwsgi(t), await scgi(t)]
    const server = await serveHttp(
      t,
      `http2 on; location / { ${location} } location = /mirror { internal; proxy_pass http://back$uri$request_uri; }`,
      `${Object.entries({ back, fast, uwsgi: packets, scgi: strings })
        .map(([name, { port }]) => `upstream ${name} { server 127.0.0.1:${port}; keepalive 2; }`)
        .join(' ')} proxy_cache_path cache keys_zone=z:64k;`,
      { files: { users: '' } },
    )
    for (const path of PATHS) {
      const client = await raw(t, server.port)
      await client.send(`POST /${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\na\0b`)
      const received = Buffer.from(await client.closed(), 'latin1')
      const reader = new MessageReader('response')
      assert.equal(reader.feed(received).length, 0)
      if (!reader.done) reader.end()
      checkHead(reader.head)
      for (const [name, value] of reader.trailers) checkHead(`${name}: ${value}`)
      const second = await http2(t, server.port)
      second.send(
        headers(
          1,
          [
            [':method', 'POST'],
            [':scheme', 'http'],
            [':authority', 'h'],
            [':path', `/${path}`],
          ],
          4,
        ),
        frame(0, 1, 1, 'abc'),
      )
      const answer = await second.response(1)
      for (const [name, value] of answer.fields) checkHead(`${name}: ${value}`)
      const seen = back.take()
      assert.ok(seen.length <= (/mirror/.test(location) ? 4 : 2), `${seen.length} requests`)
      for (const { head } of seen) checkHead(head)
      for (const one of [back, fast, packets, strings]) assert.deepEqual(one.faults, [])
    }
  })
}
