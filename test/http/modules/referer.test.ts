import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { request, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `http {
    server {
      listen 127.0.0.1:%%PORT_0%%;
      server_name own.example ~^re[0-9]\\.example$;
      location /names { valid_referers none server_names; return 200 "[$invalid_referer]"; }
      location /hosts { valid_referers blocked example.org/path *.example.org ~\\.net/; return 200 "[$invalid_referer]"; }
      location /unset { return 200 "[$invalid_referer]"; }
    }
  }`,
)

const valid = async (path: string, referer?: string): Promise<boolean> => {
  const { body } = await request({
    address: server.port,
    path,
    headers: referer === undefined ? {} : { Referer: referer },
  })
  return body.toString() === '[]'
}

test('valid_referers: names of the server, and none', async () => {
  assert.ok(await valid('/names'))
  assert.ok(await valid('/names', 'https://OWN.example:8080/x'))
  assert.ok(await valid('/names', 'http://re5.example/'))
  assert.ok(!(await valid('/names', 'http://other.example/')))
  assert.ok(!(await valid('/names', '')))
})

test('valid_referers: hosts with wildcards and beginnings of paths, patterns, and what has no scheme', async () => {
  assert.ok(await valid('/hosts', 'http://example.org/path/more'))
  assert.ok(!(await valid('/hosts', 'http://example.org/other')))
  assert.ok(await valid('/hosts', 'http://www.example.org'))
  assert.ok(await valid('/hosts', 'http://any.net/'))
  assert.ok(await valid('/hosts', 'stripped by a firewall'))
  assert.ok(!(await valid('/hosts')))
  assert.ok(await valid('/unset', 'http://anywhere.at.all/'))
})

test('valid_referers: a server without a name has one that is empty', async t => {
  const { port } = await serveHttp(t, 'valid_referers none server_names; return 200 "[$invalid_referer]";')
  assert.equal((await request({ address: port })).text, '[]')
  assert.equal((await request({ address: port, headers: { Referer: 'http://other.example/' } })).text, '[1]')
})
