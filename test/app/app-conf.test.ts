import assert from 'node:assert/strict'
import test from 'node:test'
import { check } from '../helpers/check.ts'
import { tempDir, writeFiles } from '../helpers/temp-dir.ts'

const good = 'directory %%DIR%%; module a:b;'

/** What `-t` says of an http block. */
const cases: readonly (readonly [http: string, message: RegExp | null])[] = [
  [`app a { ${good} } server { location / { app_pass a; } }`, null],
  [
    `app a { ${good} workers auto; kind threads; threads 4; timeout 1m; max_requests 100 jitter=10; queue 5 timeout=1s; }`,
    null,
  ],
  [`app a { ${good} environment A=b; environment C=d; user root; umask 022; preload off; python_path x; }`, null],
  ['app a { directory %%DIR%%; module ./file.js; }', null],
  ['server { location / { app_pass b; } }', /app "b" is not defined in .*portico.conf:1$/m],
  ['app a { module a:b; }', /no "directory" is defined for app "a" in .*:1$/m],
  ['app a { directory %%DIR%%; }', /no "module" is defined for app "a" in .*:1$/m],
  ['app a { directory %%DIR%%/none; module a:b; }', /directory ".*\/none" does not exist in .*:1$/m],
  ['app a { directory %%DIR%%/file.js; module a:b; }', /"file.js" is not a directory|file.js" is not a directory in/],
  ['app a { directory %%DIR%%; module ./none.js; }', /module ".*none.js" does not exist/],
  [`app a { ${good} } app a { ${good} }`, /duplicate app "a"/],
  [`app a { ${good} python ./file.js; }`, null],
  [`app a { ${good} python venv/bin/python; }`, /python ".*\/venv\/bin\/python" does not exist in .*:1$/m],
  [`app a { ${good} workers 2..16; }`, null],
  [`app a { ${good} workers 6..2; }`, /invalid range of workers "6\.\.2"/],
  [`app a { ${good} workers 2..x; }`, /"workers" directive invalid number "2\.\.x"/],
  ['app a { directory %%DIR%%; module ./file.js; workers 1..2; }', /"kind node" has none: give one number/],
  [`app a { ${good} workers 0; }`, /the number of workers must be between 1 and 1024/],
  [`app a { ${good} kind eventlet; }`, /invalid value "eventlet"/],
  [`app a { ${good} threads 4; }`, /"threads" needs "kind threads" in app "a"/],
  [`app a { ${good} node_options --expose-gc; }`, /"node_options" needs "kind node" in app "a"/],
  ['app a { directory %%DIR%%; module ./file.js; node_options expose-gc; }', /invalid node_options "expose-gc"/],
  [`app a { ${good} arguments x; }`, /"arguments" needs "kind node" in app "a"/],
  [`app a { ${good} wait_ready on; }`, /"wait_ready" needs "kind node" in app "a"/],
  [`app a { ${good} sticky cookie a; }`, /"sticky" needs "kind asgi", "kind gevent" or "kind node" in app "a"/],
  ['app a { sticky hash same; }', /"sticky hash same" is the same for all clients/],
  ['app a { sticky route $cookie_a; }', /unknown parameter "route"/],
  ['app a { sticky cookie a colour=red; }', /unknown parameter "colour=red"/],
  [`app a { ${good} lifespan_state shared; }`, /"lifespan_state" needs "kind asgi" in app "a"/],
  [`app a { ${good} kind asgi; lifespan_state shared; }`, null],
  [`app a { ${good} kind asgi; lifespan_state own; }`, /invalid value "own"/],
  [`app a { ${good} dirty_app a:B; dirty_app b.c:D:2; dirty_workers 4; dirty_threads 2; dirty_timeout 0; }`, null],
  [`app a { ${good} dirty_app a:B; dirty_graceful_timeout 5s; dirty_queue 10; dirty_stash_size 1m; }`, null],
  [`app a { ${good} dirty_app a; }`, /invalid dirty_app "a"/],
  [`app a { ${good} dirty_app a:B:0; }`, /invalid dirty_app "a:B:0"/],
  ['app a { directory %%DIR%%; module ./file.js; dirty_app a:B; }', /"dirty_app" is for applications in Python/],
  [`app a { ${good} paste_global a b; }`, /"paste_global" needs a module that is an ini file/],
  ['app a { directory %%DIR%%; module config:/srv/a.ini#b; paste_global a "b c"; }', null],
  [`app a { ${good} max_requests 5 jiter=1; }`, /invalid parameter "jiter=1"/],
  [`app a { ${good} queue x; }`, /"queue" directive invalid number "x"/],
  [`app a { ${good} environment A; }`, /invalid environment "A"/],
  [`app a { ${good} umask 999; }`, /invalid umask "999"/],
  [`app a/b { ${good} }`, /invalid app name "a\/b"/],
  ['app a { directory %%DIR%%; module ./file.js; max_requests 5 jitter=2; }', null],
  [`app a { ${good} } server { location / { app_pass a; app_request_buffering off; app_server_timing on; } }`, null],
]

for (const [http, message] of cases) {
  test(`app: ${http.replaceAll('%%DIR%%', '…')} ${message === null ? 'is accepted' : 'is refused with its place'}`, t => {
    const dir = tempDir(t)
    writeFiles(dir, {
      'portico.conf': `http { ${http.replaceAll('%%DIR%%', dir)} }\nevents {}\n`,
      'file.js': '',
      'logs/x': '',
    })
    const { status, stderr } = check(dir, 'portico.conf')
    assert.equal(status, message === null ? 0 : 1, stderr)
    if (message !== null) assert.match(stderr, message)
  })
}
