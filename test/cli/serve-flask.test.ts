// A Flask application behind `portico serve`.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, needs, PYTHON, raw, request, requestBytes, serveApp } from '../helpers/index.ts'

const APP = `import hashlib, os, time
from flask import Flask, Response, abort, make_response, redirect, request, send_file, session, stream_with_context

app = Flask(__name__)
app.secret_key = 'only for a test'

@app.get('/')
def index():
    return 'hello %s' % request.args.get('name', 'you')

@app.post('/upload')
def upload():
    file = request.files['file']
    digest = hashlib.sha256(file.read()).hexdigest()
    return {'name': file.filename, 'sha256': digest, 'note': request.form['note']}

@app.get('/login')
def login():
    session['user'] = 'ada'
    response = redirect('/me')
    response.set_cookie('first', 'a b', httponly=True)
    response.set_cookie('second', '2')
    return response

@app.get('/me')
def me():
    return '%s %s %s' % (session.get('user'), request.cookies.get('first'), request.url)

@app.get('/stream')
def stream():
    def parts():
        for i in range(3):
            yield 'part %d\\n' % i
            if i == 0:
                path = os.path.join(app.root_path, 'go')
                while not os.path.exists(path):
                    time.sleep(0.01)
    return Response(stream_with_context(parts()), mimetype='text/plain')

@app.get('/go')
def go():
    open(os.path.join(app.root_path, 'go'), 'w').close()
    return ''

@app.get('/file')
def file():
    return send_file('big.bin', conditional=True, etag=True)

@app.get('/error')
def error():
    raise RuntimeError('flask error')

@app.get('/teapot')
def teapot():
    abort(418)
`

const env = { PORTICO_PYTHON: PYTHON }
const big = Buffer.alloc(1_000_000, '0123456789')

function cookiesOf(headers: readonly (readonly [string, string])[]): string {
  return headers
    .filter(([name]) => name.toLowerCase() === 'set-cookie')
    .map(([, value]) => value.split(';')[0])
    .join('; ')
}

test('Flask: routes, uploads, cookies, redirects, streams, files and errors', async t => {
  if (!needs(t, 'python3', 'flask')) return
  const server = await serveApp(t, ['-w', '2', 'site_app:app'], { files: { 'site_app.py': APP, 'big.bin': big }, env })
  const { port } = server

  await t.test('a route with arguments', async () => {
    assert.equal((await get(port, '/?name=%C3%A9va')).text, 'hello éva')
    assert.equal((await get(port, '/nowhere')).status, 404)
    assert.equal((await get(port, '/teapot')).status, 418)
    assert.equal((await request({ address: port, method: 'DELETE' })).status, 405)
    assert.match((await request({ address: port, method: 'OPTIONS' })).header('allow') ?? '', /GET/)
  })

  await t.test('an upload bigger than any buffer', async () => {
    const body = Buffer.concat([
      Buffer.from('--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nn\r\n--x\r\n'),
      Buffer.from('Content-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'),
      big,
      Buffer.from('\r\n--x--\r\n'),
    ])
    const headers = { 'Content-Type': 'multipart/form-data; boundary=x' }
    const answer = await request({ address: port, method: 'POST', path: '/upload', headers, body })
    const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', big)).toString('hex')
    assert.deepEqual(JSON.parse(answer.text), { name: 'a.bin', note: 'n', sha256 })
  })

  await t.test('cookies and a redirect', async () => {
    const answer = await get(port, '/login', { Host: 'shop.example' })
    assert.deepEqual([answer.status, answer.header('location')], [302, '/me'])
    const cookie = cookiesOf(answer.headers)
    assert.equal(cookie.split('; ').length, 3)
    const me = await get(port, '/me?x=1', { Cookie: cookie, Host: 'shop.example' })
    assert.equal(me.text, 'ada a b http://shop.example/me?x=1')
  })

  await t.test('a stream arrives as it is made', async () => {
    const client = await raw(t, port)
    await client.send(requestBytes({ path: '/stream' }))
    await client.until('part 0\n')
    await get(port, '/go')
    await client.until('part 2\n')
  })

  await t.test('files, their parts, and their validators', async () => {
    const whole = await get(port, '/file')
    assert.ok(whole.body.equals(big))
    const part = await get(port, '/file', { Range: 'bytes=10-19' })
    assert.deepEqual([part.status, part.text], [206, '0123456789'])
    assert.equal((await get(port, '/file', { 'If-None-Match': whole.header('etag')! })).status, 304)
    const head = await request({ address: port, method: 'HEAD', path: '/file' })
    assert.deepEqual([head.header('content-length'), head.body.length], ['1000000', 0])
  })

  await t.test('an error', async () => {
    assert.equal((await get(port, '/error')).status, 500)
    await eventually(() => server.output.includes('RuntimeError: flask error'))
  })
})
