import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { check } from '../../helpers/check.ts'
import { request, serve, tempDir, writeFiles, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(file, {
  files: { 'more.map': 'included "from a file";\n' },
  conf: `
    http {
      map $arg_k $plain { default other; one 1; TWO 2; '' empty; \\default named; include more.map; }
      map $arg_k $host_map { hostnames; default none; example.org exact; *.example.org head; www.example.* tail; .own.org own; ~^re(?<rest>.*)\\.org$ "re-$rest"; }
      map $arg_k $pattern { ~^a(b+)$ "got $1"; ~*^CASE$ caseless; ~^a last; default "no $arg_k"; }
      map $arg_k$arg_l $several { ab both; }
      map $uri $kept { /first first; /second second; }
      map $uri $fresh { volatile; /first first; /second second; }
      map $arg_k $expensive { ~^(?=(a+)+$)a "costly"; ~evil second; default "not known"; }
      map_hash_max_size 4096;
      map_hash_bucket_size 128;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "$plain|$host_map|$pattern|$several"; }
        location /expensive { return 200 "$expensive"; }
        location /first { set $seen "$kept$fresh"; rewrite ^ /second; }
        location /second { return 200 "$seen|$kept$fresh"; }
      }
    }`,
})

async function values(k: string, more = ''): Promise<string[]> {
  const { body } = await request({ address: server.port, path: `/?k=${k}${more}` })
  return body.toString().split('|')
}

test('map: keys compare without case; an empty one is a key; what is not there is the default or empty', async () => {
  assert.equal((await values('ONE'))[0], '1')
  assert.equal((await values('two'))[0], '2')
  assert.equal((await values(''))[0], 'empty')
  assert.equal((await values('default'))[0], 'named')
  assert.equal((await values('included'))[0], 'from a file')
  assert.equal((await values('x'))[0], 'other')
  assert.equal((await values('a', '&l=b'))[3], 'both')
  assert.equal((await values('a', '&l=c'))[3], '')
})

test('map: hostnames may have wildcards, and patterns come last', async () => {
  const found = async (host: string): Promise<string> => (await values(host))[1]!
  assert.deepEqual(
    [
      await found('example.org.'),
      await found('a.b.Example.org'),
      await found('www.example.com'),
      await found('own.org'),
    ],
    ['exact', 'head', 'tail', 'own'],
  )
  assert.equal(await found('reXY.org'), 're-XY')
})

test('map: the first pattern that matches wins and leaves captures', async () => {
  assert.deepEqual(
    [(await values('abb'))[2], (await values('case'))[2], (await values('ax'))[2], (await values('zz'))[2]],
    ['got bb', 'caseless', 'last', 'no zz'],
  )
})

test('map: a value once found stays for the request, unless the map is volatile', async () => {
  assert.equal((await request({ address: server.port, path: '/first' })).body.toString(), 'firstfirst|firstsecond')
})

test('map: where an expression takes too many tries, the default stands, and none behind it is asked', async () => {
  const ask = async (k: string): Promise<string> =>
    (await request({ address: server.port, path: `/expensive?k=${k}` })).body.toString()
  assert.equal(await ask('aaa'), 'costly')
  assert.equal(await ask('evil'), 'second')
  assert.equal(await ask(`${'a'.repeat(100)}evil`), 'not known')
  assert.match(server.errorLog(), /pcre2_match\(\) failed: -47 on "a+evil"/)
})

test('map: what is refused, in nginx words', t => {
  for (const [text, problem] of [
    ['map $uri name { }', 'invalid variable name "name"'],
    ['map $uri $n { a 1; A 2; }', 'conflicting parameter "A"'],
    ['map $uri $n { default 1; default 2; }', 'duplicate default map parameter'],
    ['map $uri $n { a; }', 'invalid number of the map parameters'],
    ['map $uri $n { hostnames; a*b 1; }', 'invalid hostname or wildcard "a*b"'],
    ['map $uri $n { a $nothing; }', 'unknown "nothing" variable'],
  ] as const) {
    const dir = tempDir(t)
    writeFiles(dir, { 'x.conf': `events { }\nhttp { ${text} server { return 200 $n; } }\n` })
    const output = check(dir, 'x.conf').stderr
    assert.ok(output.includes(`[emerg] ${problem} in `), `${text}: ${output}`)
  }
})
