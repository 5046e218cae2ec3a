import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveHttp } from '../../../helpers/http.ts'
import { get } from '../../../helpers/raw.ts'

// What nginx 1.31.5 answers to the same blocks.
const server = await serveHttp(
  { after },
  `
  server_name ~^(?<sub>[a-z]+)\\.rx$;
  root html;
  rewrite_log on;
  set $srv s;
  if ($arg_srvif) { set $srv "if-$arg_srvif"; }
  if ($arg_deny = 1) { return 403; }
  if ($http_user_agent ~* "BOT(?<kind>[0-9])") { set $srv bot$kind-$1; }
  rewrite ^/srv/(.*)$ /text/$1?from=srv;
  rewrite ^/brk/(.*)$ /text/$1 break;
  location /text/ { return 200 "u=$uri a=$args s=$srv sub=$sub 1=$1"; }
  location ~ ^/cap/(?<a>[^/]+)/(.*)$ { set $x "$1|$2|$a"; return 200 "x=$x 1=$1 2=$2 a=$a"; }
  location /last { rewrite ^/last(.*)$ /text$1 last; return 200 no; }
  location /break { rewrite ^/break(.*)$ /text$1 break; return 200 no; }
  location /drop { rewrite ^/drop /text/? last; }
  location /args { rewrite ^/args/(.*)$ /text/?x=$1 last; }
  location /args2 { rewrite ^/args2/(.*)$ /text/?x=$1&y=$arg_q? last; }
  location /redir { rewrite ^/redir/(.*)$ /text/$1 redirect; }
  location /perm { rewrite ^/perm/(.*)$ /text/$1?z=1 permanent; }
  location /perm2 { rewrite ^/perm2/(.*)$ /text/$1?z=1? permanent; }
  location /url { rewrite ^/url/(.*)$ http://example.com/$1; }
  location /scheme { rewrite ^/scheme/(.*)$ $scheme://ex/$1?a=$1; }
  location /cycle { rewrite ^(/cycle.*)$ $1x last; }
  location /zero { rewrite ^/zero(.*)$ $1 last; }
  location /chain { rewrite ^/chain/(.*)$ /c2/$1; rewrite ^/c2/(.*)$ /text/$1?c; }
  location /stop { rewrite ^/stop/(.*)$ /text/$1; break; return 200 no; }
  location /never { if ($never) { set $never x; } return 200 "$never-$never-"; }
  location /nowhere { return 302; }
  location /int { internal; return 200 "int $uri"; }
  location /toint { rewrite ^ /int last; }
  location ~ ^/nl$ { return 200 nl; }
  location ~ ^/(?i)MiX(?-i)Ed$ { return 200 mixed; }
  location ~ "^/q/(\\d{2,3}+)([[:alpha:]]+)$" { return 200 "q $1 $2"; }
  location ~ ^/la/(?!no)(\\w+)$ { return 200 "la $1"; }
  location ~ ^/at/(?>a+)(b) { return 200 "at $1"; }
  location ~ ^/back/(\\w)\\1$ { return 200 "back $1"; }
  location ~* ^/ci/\xe9$ { return 200 ci; }
  location ~ ^/hostile/(?=(a+)+$) { return 200 matched; }
  location / { return 200 "root $uri"; }
`,
  '',
  { files: { 'html/x': '' } },
)

const { port } = server
const ask = (path: string, headers: Record<string, string> = {}) => get(port, path, { Host: 'ab.rx', ...headers })

async function answers(cases: Readonly<Record<string, string | number>>): Promise<void> {
  for (const [path, expected] of Object.entries(cases)) {
    const response = await ask(path)
    if (typeof expected === 'number') assert.equal(response.status, expected, path)
    else if (response.status >= 300) {
      const location = (response.header('location') ?? '').replace(`http://ab.rx:${port}`, '')
      assert.equal(`${response.status} ${location}`, expected, path)
    } else assert.equal(response.text, expected, path)
  }
}

test('rewrite: at the server level and in locations, on to the new location or not', () =>
  answers({
    '/srv/a%20b': 'u=/text/a b a=from=srv s=s sub=ab 1=',
    '/srv/a+b?x=1': 'u=/text/a+b a=from=srv&x=1 s=s sub=ab 1=',
    '/brk/q': 'u=/text/q a= s=s sub=ab 1=q',
    '/last/x': 'u=/text/x a= s=s sub=ab 1=/x',
    '/break/x': 404,
    '/chain/a?z': 'u=/text/a a=c&z s=s sub=ab 1=a',
    '/stop/x': 404,
    '/int': 404,
    '/toint': 'int /int',
  }))

test('rewrite: arguments are added, dropped at a final question mark, and captures in them encoded', () =>
  answers({
    '/drop?a=1': 'u=/text/ a= s=s sub=ab 1=',
    '/args/a%20b': 'u=/text/ a=x=a%20b s=s sub=ab 1=a b',
    '/args/a&b?z=1': 'u=/text/ a=x=a&b&z=1 s=s sub=ab 1=a&b',
    '/args/a+b%26': 'u=/text/ a=x=a%2Bb%26 s=s sub=ab 1=a+b&',
    '/args2/v?q=2&r=3': 'u=/text/ a=x=v&y=2 s=s sub=ab 1=v',
  }))

test('rewrite: redirects are encoded once', () =>
  answers({
    '/redir/a%20b': '302 /text/a%20b',
    '/redir/a?x=y': '302 /text/a?x=y',
    '/redir/a%3Fb': '302 /text/a?b',
    '/redir/a%25b': '302 /text/a%25b',
    '/redir/%20%2b%2B': '302 /text/%20++',
    '/redir/%c3%a9': '302 /text/%C3%A9',
    '/perm/a?b': '301 /text/a?z=1&b',
    '/perm2/a?b': '301 /text/a?z=1',
    '/url/a%2fb?c': '302 http://example.com/a/b?c',
    '/scheme/x%20y?q': '302 http://ex/x%20y?a=x%20y&q',
  }))

test('rewrite: circles and empty URIs end in an error that is told', async () => {
  await answers({ '/cycle': 500, '/zero': 500, '/zero/a': 'root /a' })
  const log = server.errorLog()
  assert.match(log, /\[error\] .*rewrite or internal redirection cycle while processing "\/cyclex{11}"/)
  assert.match(log, /\[error\] .*the rewritten URI has a zero length/)
})

test('rewrite_log tells what matched and what came of it', async () => {
  await ask('/args/v?w=1')
  const log = server.errorLog()
  assert.match(log, /\[notice\] .*"\^\/srv\/\(\.\*\)\$" does not match "\/args\/v"/)
  assert.match(log, /\[notice\] .*"\^\/args\/\(\.\*\)\$" matches "\/args\/v"/)
  assert.match(log, /\[notice\] .*rewritten data: "\/text\/", args: "x=v&w=1"/)
})

test('captures: named ones stay, also those of the server’s name; set encodes them as nginx does', () =>
  answers({
    '/cap/a%20b/c%3Fd': 'x=a%20b|c%3Fd|a b 1=a b 2=c?d a=a b',
    '/cap/a+b/c': 'x=a%2Bb|c|a+b 1=a+b 2=c a=a+b',
    '/text/?srvif=7': 'u=/text/ a=srvif=7 s=if-7 sub=ab 1=',
    '/text/?srvif=0': 'u=/text/ a=srvif=0 s=s sub=ab 1=',
    '/x?deny=1': 403,
  }))

test('if at the server level matches headers', async () => {
  assert.equal((await ask('/text/', { 'User-Agent': 'xBot7' })).text, 'u=/text/ a= s=bot7-7 sub=ab 1=')
})

test('return: a redirect to nowhere says so', async () => {
  const answer = await ask('/nowhere')
  assert.deepEqual([answer.status, answer.header('location')], [302, ''])
})

test('location: PCRE’s own syntax', () =>
  answers({
    '/nl%0A': 'nl',
    '/nl%0A%0A': 'root /nl\n\n',
    '/mixEd': 'mixed',
    '/miXED': 'root /miXED',
    '/q/123ab': 'q 123 ab',
    '/q/1234ab': 'root /q/1234ab',
    '/la/yes': 'la yes',
    '/la/nope': 'root /la/nope',
    '/at/aab': 'at b',
    '/back/aa': 'back a',
    // Bytes, not characters: É is no upper case of é.
    '/ci/%C3%A9': 'ci',
    '/CI/%C3%A9': 'ci',
    '/ci/%C3%89': 'root /ci/\xc9',
  }))

test('location: a text that is too much for its pattern is an error, not a mismatch', async () => {
  assert.equal((await ask('/hostile/aaa')).text, 'matched')
  assert.equal((await ask(`/hostile/${'a'.repeat(200)}b`)).status, 500)
  assert.match(server.errorLog(), /\[alert\] .*pcre2_match\(\) failed: -47 on "\/hostile\/a+b" using "\^\/hostile/)
})

test('a variable that nobody has set is warned about once', async () => {
  const before = server.errorLog().length
  assert.equal((await get(server.port, '/never')).text, '--')
  assert.equal(server.errorLog().slice(before).split('using uninitialized "never" variable').length, 2)
})
