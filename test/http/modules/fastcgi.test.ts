import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import type { HttpServer } from '../../helpers/http.ts'
import { eventually, fileScope, get, isMissing, request, responder } from '../../helpers/index.ts'
import type { RequestOptions, Response } from '../../helpers/index.ts'

const scope = fileScope()
const skip = isMissing('python3') ? 'python3 missing' : false
const peer = skip === false ? await responder(scope, 'fastcgi') : '127.0.0.1:1'

/** A server whose location / asks the responder. */
function server(conf = '', http = ''): Promise<HttpServer> {
  const params = 'fastcgi_param PATH $uri; fastcgi_param METHOD $request_method;'
  return serveHttp(scope, `${conf}\nlocation / { fastcgi_pass ${peer}; ${conf === '' ? params : ''} }`, http)
}

const plain = await server()
const ask = (path: string, options: Omit<RequestOptions, 'path'> = {}): Promise<Response> =>
  request({ address: plain.port, path, ...options })

function params(response: Response): Map<string, string> {
  return new Map(response.text.split('\n').map(line => line.split(/=(.*)/s) as [string, string]))
}

test(
  'a responder is told the parameters and the client’s fields, and its answer goes to the client',
  { skip },
  async () => {
    const response = await ask('/params', { headers: { 'X-Twice': ['a', 'b'], Cookie: ['c=1', 'd=2'] } })
    assert.equal(response.header('content-type'), 'text/x')
    const found = params(response)
    assert.equal(found.get('METHOD'), 'GET')
    assert.equal(found.get('HTTP_X_TWICE'), 'a, b')
    assert.equal(found.get('HTTP_COOKIE'), 'c=1; d=2')
    assert.equal(found.get('HTTP_HOST'), 'localhost')
  },
)

test('fastcgi_param: if_not_empty, fields replaced and left out, all inherited or none', { skip }, async () => {
  const { port } = await serveHttp(
    scope,
    `fastcgi_param PATH /params; fastcgi_param EMPTY ""; fastcgi_param NONE $arg_none if_not_empty;
     fastcgi_param HTTP_X_SET "own $arg_none"; fastcgi_param HTTP_X_OUT "";
     location / { fastcgi_pass ${peer}; }
     location /own { fastcgi_pass ${peer}; fastcgi_param PATH /params; fastcgi_pass_request_headers off; }`,
  )
  const headers = { 'X-Set': 'client', 'X-Out': 'client' }
  const found = params(await request({ address: port, path: '/', headers }))
  assert.deepEqual([found.get('EMPTY'), found.has('NONE'), found.get('HTTP_X_SET')], ['', false, 'own '])
  assert.equal(found.has('HTTP_X_OUT'), false)
  assert.equal(params(await request({ address: port, path: '/?none=x' })).get('NONE'), 'x')
  const own = params(await request({ address: port, path: '/own', headers }))
  assert.deepEqual([own.has('EMPTY'), own.has('HTTP_X_SET'), own.has('HTTP_HOST')], [false, false, true])
})

test('a request body goes from memory or from a file, in records', { skip }, async () => {
  assert.equal((await ask('/body')).text, '0 0 0')
  for (const size of [5, 16000, 200_000]) {
    const body = Buffer.alloc(size, 'x')
    const response = await ask('/body', { method: 'POST', body })
    assert.deepEqual([response.status, response.reason, response.header('x-own')], [201, 'Made', 'yes'])
    assert.equal(response.header('status'), null)
    assert.match(response.text, new RegExp(`^${size} ${(size * 120) % 65521} `))
  }
})

test('an unbuffered body of unknown length goes on as it comes', { skip }, async () => {
  const { port } = await server(`fastcgi_request_buffering off; fastcgi_param PATH $uri;`)
  const headers = { 'Transfer-Encoding': 'chunked' }
  const response = await request({
    address: port,
    path: '/body',
    method: 'POST',
    headers,
    body: '3\r\nabc\r\n0\r\n\r\n',
  })
  assert.match(response.text, /^3 294 1/)
})

test('a head may be split over records, and its status is the response’s', { skip }, async () => {
  const response = await ask('/split')
  assert.deepEqual([response.status, response.reason, response.text], [404, 'Lost', 'body'])
  assert.equal(response.header('x-long')?.length, 300)
})

test('stderr goes to the error log', { skip }, async () => {
  assert.equal((await ask('/stderr')).text, 'fine')
  for (const said of [
    /\[error\] .*FastCGI sent in stderr: "a warning" while reading response header from upstream/,
    /FastCGI sent in stderr: "behind it" while reading upstream/,
    new RegExp(`upstream: "fastcgi://${peer}"`),
  ])
    await eventually(() => said.test(plain.errorLog()))
})

test('fastcgi_catch_stderr makes an error of what is said there', { skip }, async () => {
  const { port } = await server(`fastcgi_catch_stderr "PHP Fatal"; fastcgi_param PATH $uri;`)
  assert.equal((await get(port, '/fatal')).status, 502)
  assert.equal((await ask('/fatal')).text, 'broken')
})

test('a Location without a status is a redirect; X-Accel-Redirect is one within', { skip }, async () => {
  const response = await ask('/location')
  assert.deepEqual([response.status, response.header('location')], [302, '/elsewhere'])
  const { port } = await server('location /inner { internal; return 200 inner; } fastcgi_param PATH $uri;')
  const inner = await get(port, '/accel')
  assert.deepEqual([inner.text, inner.header('x-other'), inner.header('set-cookie')], ['inner', null, 'a=b'])
})

test('Content-Length is kept to', { skip }, async () => {
  assert.equal((await ask('/long')).text, 'long')
  await assert.rejects(ask('/short'))
  assert.match(plain.errorLog(), /upstream prematurely closed FastCGI stdout while reading upstream/)
})

test('what is no answer is a 502', { skip }, async () => {
  for (const path of ['/status', '/empty', '/type']) assert.equal((await ask(path)).status, 502)
  const log = plain.errorLog()
  assert.match(log, /upstream sent invalid status "none" while reading response header/)
  assert.match(log, /upstream prematurely closed FastCGI stdout while reading response header/)
  assert.match(log, /upstream sent invalid FastCGI record type: 11/)
})

test('a big response arrives whole, buffered or not', { skip }, async () => {
  assert.equal((await ask('/big')).body.length, 1_600_000)
  const { port } = await server('fastcgi_buffering off; fastcgi_param PATH $uri;')
  assert.equal((await get(port, '/big')).body.length, 1_600_000)
})

test('fastcgi_keep_conn keeps the connection for the next request', { skip }, async () => {
  const { port } = await serveHttp(
    scope,
    'location / { fastcgi_pass kept; fastcgi_keep_conn on; fastcgi_param PATH /params; }',
    `upstream kept { server ${peer}; keepalive 1; }`,
  )
  const numbers = []
  for (let i = 0; i < 3; i++) numbers.push(params(await get(port, '/')).get('CONNECTION'))
  assert.equal(new Set(numbers).size, 1)
  const once = [params(await ask('/params')).get('CONNECTION'), params(await ask('/params')).get('CONNECTION')]
  assert.notEqual(once[0], once[1])
})

test('$fastcgi_script_name and $fastcgi_path_info', async () => {
  const { port } = await serveHttp(
    scope,
    `fastcgi_index index.php;
     location / { return 200 "$fastcgi_script_name|$fastcgi_path_info"; }
     location ~ php { fastcgi_split_path_info ^(.+?\\.php)(/.*)?$; return 200 "$fastcgi_script_name|$fastcgi_path_info"; }`,
  )
  assert.equal((await get(port, '/dir/')).text, '/dir/index.php|')
  assert.equal((await get(port, '/a.php/b/c')).text, '/a.php|/b/c')
  assert.equal((await get(port, '/php')).text, '/php|')
})

test('an address may be made of variables; intercepted errors get a page', { skip }, async () => {
  const variable = await serveHttp(
    scope,
    `location / { fastcgi_pass $arg_to; fastcgi_param PATH /split; fastcgi_intercept_errors on; error_page 404 /page; }
     location /page { return 200 page; }`,
  )
  assert.equal((await get(variable.port, `/?to=${peer}`)).text, 'page')
  assert.equal((await get(variable.port, '/?to=nowhere')).status, 500)
  assert.match(variable.errorLog(), /no port in upstream "nowhere"/)
})

test('what is wrong with a configuration is told in nginx’s words', async () => {
  const refused = async (conf: string, problem: RegExp): Promise<void> => {
    await assert.rejects(serveHttp(scope, `location / { ${conf} }`), problem)
  }
  await refused('fastcgi_pass nowhere;', /no port in upstream "nowhere"/)
  await refused('fastcgi_pass 127.0.0.1:9/x;', /invalid host in upstream "127\.0\.0\.1:9\/x"/)
  await refused('fastcgi_split_path_info (a);', /pattern "\(a\)" must have 2 captures/)
  await refused('fastcgi_param A b c;', /invalid parameter "c"/)
  await refused('uwsgi_modifier1 256;', /must be between 0 and 255/)
})

test('conf/fastcgi.conf is conf/fastcgi_params and the script’s file', () => {
  const read = (name: string): string[] =>
    readFileSync(join(import.meta.dirname, '../../../conf', name), 'latin1').match(/^fastcgi_param.*/gm)!
  const file = read('fastcgi.conf').filter(line => !line.includes('SCRIPT_FILENAME'))
  assert.deepEqual(file, read('fastcgi_params'))
})
