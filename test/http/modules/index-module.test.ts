import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { eventually, request, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(file, {
  files: {
    'html/index.html': 'front',
    'html/sub/second.html': 'second',
    'html/sub/x.txt': 'x',
    'html/plain': 'plain',
    'html/empty/x': '',
    'html/start.html': 'start',
  },
  conf: `
      http {
        server {
          listen 127.0.0.1:%%PORT_0%%;
          location /sub/ { index first.html second.html; }
          location /named/ { alias html/sub/; index $arg_name; }
          location /away/ { alias html/empty/; index none.html /start.html; }
          location /circle/ { alias html/empty/; index /circle/; }
          location = /sub/second.html { add_header X-Seen yes; }
        }
      }`,
})

const ask = (path: string, method = 'GET') => request({ address: server.port, path, method })

test('the first file that is there answers for its folder', async () => {
  assert.equal((await ask('/')).text, 'front')
  assert.equal((await ask('/sub/')).text, 'second')
  assert.equal((await ask('/named/?name=x.txt')).text, 'x')
})

test('the file is asked for anew: its own location answers', async () => {
  assert.equal((await ask('/sub/')).header('x-seen'), 'yes')
})

test('an absolute index is a URI', async () => {
  assert.equal((await ask('/away/')).text, 'start')
})

test('an index that leads back to itself ends', async () => {
  assert.equal((await ask('/circle/')).status, 500)
  await eventually(() =>
    server.errorLog().includes('rewrite or internal redirection cycle while internally redirecting to "/circle/"'),
  )
})

test('a folder that is not there, or is none, is not found', async () => {
  assert.equal((await ask('/none/')).status, 404)
  assert.equal((await ask('/plain/')).status, 404)
  assert.equal((await ask('/empty/')).status, 403)
  const dir = server.dir
  await eventually(() => {
    const log = server.errorLog()
    return (
      log.includes(`"${dir}/html/none/index.html" is not found (2: No such file or directory)`) &&
      log.includes(`"${dir}/html/plain/index.html" is not found (20: Not a directory)`) &&
      log.includes(`directory index of "${dir}/html/empty/" is forbidden`)
    )
  })
})

test('only GET, HEAD and POST look for an index', async () => {
  assert.equal((await ask('/', 'HEAD')).status, 200)
  assert.equal((await ask('/', 'POST')).status, 405)
  assert.equal((await ask('/', 'DELETE')).status, 405)
})
