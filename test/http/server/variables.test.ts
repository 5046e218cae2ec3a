import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

test('$args is missing where nobody wrote any, and empty where nothing is left of them', async t => {
  const server = await serveHttp(
    t,
    `access_log args.log shown;
     location / { return 200; }
     location /bare/ { rewrite ^ /x? last; }
     location /adds/ { rewrite ^ /x last; }
     location /empty/ { rewrite ^ /x?$http_missing last; }
     location /tries/ { try_files /none /x?; }
     location /page/ { error_page 404 =200 /x?; return 404; }
     location /plain-page/ { error_page 404 =200 /x; return 404; }
     location /set/ { set $args ''; return 200; }`,
    "log_format shown '$args|$query_string';",
  )
  const cases: [path: string, args: string][] = [
    ['/', '-'],
    ['/?', '-'],
    ['/?a', 'a'],
    ['/bare/', '-'],
    ['/bare/?a', ''],
    ['/adds/', '-'],
    ['/adds/?a', 'a'],
    ['/empty/', ''],
    ['/tries/', ''],
    ['/page/', ''],
    ['/plain-page/?a', '-'],
    ['/set/', ''],
  ]
  for (const [path] of cases) assert.equal((await get(server.port, path)).status, 200, path)
  const logged = (): string[] => readFileSync(join(server.dir, 'args.log'), 'latin1').split('\n').slice(0, -1)
  await eventually(() => logged().length === cases.length)
  assert.deepEqual(
    logged(),
    cases.map(([, args]) => `${args}|${args}`),
  )
})
