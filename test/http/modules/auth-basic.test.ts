import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { parseUsers } from '../../../src/http/access/password-file.ts'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import { get, request, writeFiles, type Response } from '../../helpers/index.ts'

const users = `# people
plain:{PLAIN}secret
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
md5:$1$salt$ez2vlPGdaLYkJam5pWs/Y1:with a comment
apr:$apr1$abc$PZF73YJz5hJ9yyI.7OP.R.
des:abNANd1rDfiNc
bcrypt:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a
unknown:$y$j9T$abc$def`

const file = { after }
const server: HttpServer = await serveHttp(
  file,
  `
  location /realm { auth_basic "for $arg_who"; auth_basic_user_file users; location /realm/free { auth_basic off; } }
  location /check { auth_basic x; auth_basic_user_file users; }
  location /by-name { auth_basic x; auth_basic_user_file $arg_file; }
  location /nofile { auth_basic x; auth_basic_user_file nothing; }
  location /changes { auth_basic x; auth_basic_user_file changing; }
  location /delay { auth_basic x; auth_basic_user_file users; auth_delay 200ms; }
  `,
  '',
  { files: { users, changing: 'a:{PLAIN}1\n', 'html/x': '' } },
)

function ask(path: string, user = '', password = 'secret'): Promise<Response> {
  return get(server.port, path, user === '' ? {} : { Authorization: `Basic ${btoa(`${user}:${password}`)}` })
}

for (const user of ['plain', 'sha', 'md5', 'apr', 'des', 'bcrypt']) {
  test(`a password stored as ${user} is right again and again, and another one wrong`, async () => {
    assert.equal((await ask('/check', user)).status, 404)
    assert.equal((await ask('/check', user, 'Secret')).status, 401)
    assert.equal((await ask('/check', user)).status, 404)
  })
}

test('many requests at once with the same slow password all go on', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => ask('/check', 'md5', 'secret')))
  assert.deepEqual(new Set(all.map(response => response.status)), new Set([404]))
})

test('who brings nothing, or nothing legible, is asked', async () => {
  const response = await ask('/check')
  assert.equal(response.status, 401)
  assert.equal(response.header('www-authenticate'), 'Basic realm="x"')
  for (const value of ['Bearer x', 'Basic', 'Basic !!!', `Basic ${btoa('plain')}`, `Basic ${btoa(':secret')}`]) {
    assert.equal((await get(server.port, '/check', { Authorization: value })).status, 401, value)
  }
})

test('the realm may have variables', async () => {
  const response = await ask('/realm?who=me')
  assert.equal(response.header('www-authenticate'), 'Basic realm="for me"')
  assert.equal((await ask('/realm/free')).status, 404)
})

test('a hash of an unknown kind is an error of the configuration, which is logged', async () => {
  assert.equal((await ask('/check', 'unknown')).status, 500)
  assert.match(server.errorLog(), /password of user "unknown" is hashed in an unsupported way/)
})

test('without a file nobody may enter', async () => {
  assert.equal((await ask('/nofile', 'plain')).status, 403)
})

test('a file that changes is read again', async () => {
  assert.equal((await ask('/changes', 'a', '1')).status, 404)
  writeFiles(server.dir, { changing: 'a:{PLAIN}22\n' })
  assert.equal((await ask('/changes', 'a', '1')).status, 401)
  assert.equal((await ask('/changes', 'a', '22')).status, 404)
})

test('auth_delay: a refusal takes its time', async () => {
  const before = performance.now()
  assert.equal((await ask('/delay', 'plain', 'wrong')).status, 401)
  assert.ok(performance.now() - before >= 199)
})

test('a password file is read line by line: comments, first of a name, what stands behind a second colon', () => {
  const parsed = parseUsers('#a:1\n\nb:2:x\r\nb:3\nnocolon\n:4\nc:')
  assert.deepEqual(
    [...parsed],
    [
      ['b', '2'],
      ['c', ''],
    ],
  )
})

test('a name without a password opens nothing', async t => {
  const { port } = await serveHttp(t, 'auth_basic r; auth_basic_user_file users; location / { empty_gif; }', '', {
    files: { users: 'open:\n' },
  })
  for (const pair of ['open:', 'open:x']) {
    const { status } = await get(port, '/', { Authorization: `Basic ${btoa(pair)}` })
    assert.equal(status, 401, pair)
  }
})

test('a file that a variable names is relative to the configuration, too', async () => {
  assert.equal((await ask('/by-name?file=users', 'plain')).status, 404)
  assert.equal((await ask('/by-name?file=html', 'plain')).status, 500)
  assert.match(server.errorLog(), /pread\(\) ".*\/html" failed \(21: Is a directory\)/)
})

test('a proxy asks for a password in fields of its own, and with 407', async t => {
  const body = 'auth_basic r; auth_basic_user_file users; satisfy any; deny all; auth_delay 1ms; tunnel_pass;'
  const { port } = await serveHttp(t, body, '', { files: { users } })
  const right = `Basic ${btoa('plain:secret')}`
  const ask = async (headers: Record<string, string>): Promise<Response> =>
    request({ address: port, method: 'CONNECT', path: '127.0.0.1:1', headers })
  for (const headers of [{}, { Authorization: right }, { 'Proxy-Authorization': `Basic ${btoa('plain:x')}` }]) {
    const response = await ask(headers)
    assert.equal(response.status, 407)
    assert.equal(response.header('proxy-authenticate'), 'Basic realm="r"')
    assert.equal(response.header('www-authenticate'), null)
    assert.match(response.text, /407 Proxy Authentication Required/)
  }
  const refused = await ask({ 'Proxy-Authorization': right })
  assert.equal(refused.status, 502)
  assert.equal(refused.header('proxy-authenticate'), null)
  assert.equal((await get(port, '/', { 'Proxy-Authorization': right })).status, 401)
})

test('$remote_user is the one that the check knows', async t => {
  const { port } = await serveHttp(t, 'return 200 "[$remote_user]";')
  const user = async (value: string): Promise<string> => (await get(port, '/', { Authorization: value })).text
  assert.equal(await user(`Basic ${btoa('joe:x')}`), '[joe]')
  for (const value of ['Basic YTpi?', 'Basic YTp-', 'Basic YTpi= x y', 'Basic']) {
    assert.equal(await user(value), value === 'Basic YTpi= x y' ? '[a]' : '[]', value)
  }
})
