import assert from 'node:assert/strict'
import test from 'node:test'
import { NGINX_VERSION, VERSION } from '../../../src/lib/product.ts'
import { serveHttp } from '../../helpers/http.ts'
import { get } from '../../helpers/raw.ts'

const meanings: Readonly<Record<string, string>> = {
  on: `nginx/${NGINX_VERSION}`,
  off: 'nginx',
  build: `nginx/${NGINX_VERSION} (portico/${VERSION})`,
  'on name=portico': `portico/${VERSION}`,
  'off name=portico': 'portico',
  'build name=acme': `acme/${VERSION} (portico/${VERSION})`,
}

test('server_tokens: the Server field and the foot of error pages say what the server is called', async t => {
  const locations = Object.keys(meanings).map((words, i) => `location = /${i} { server_tokens ${words}; return 404; }`)
  const server = await serveHttp(t, locations.join('\n'))
  for (const [i, product] of Object.values(meanings).entries()) {
    const answer = await get(server.port, `/${i}`)
    assert.equal(answer.header('server'), product)
    assert.ok(answer.text.includes(`<hr><center>${product}</center>`), answer.text)
  }
})

test('server_tokens: what is none of its words is refused', async t => {
  for (const words of ['of', 'on portico', 'on name=', 'off name=a/b', '"on" "name=a\\nb"'])
    await assert.rejects(serveHttp(t, `server_tokens ${words};`), /invalid value/)
})
