import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { request, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `http {
    modern_browser msie 5.5;
    modern_browser gecko 1.0.0;
    modern_browser safari 100;
    modern_browser unlisted;
    ancient_browser Links Lynx netscape4;
    modern_browser_value new;
    ancient_browser_value old;
    server {
      listen 127.0.0.1:%%PORT_0%%;
      location / { return 200 "$modern_browser$ancient_browser$msie"; }
      location /default { modern_browser gecko 2; return 200 "$modern_browser$ancient_browser"; }
    }
  }`,
)

const answer = async (agent: string | null, path = '/'): Promise<string> => {
  const headers = agent === null ? {} : { 'User-Agent': agent }
  return (await request({ address: server.port, path, headers })).body.toString()
}

test('browser: by name and version', async () => {
  assert.equal(await answer('Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)'), 'new1')
  assert.equal(await answer('Mozilla/4.0 (compatible; MSIE 5.0; Windows NT 5.1)'), 'old1')
  assert.equal(await answer('Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.0; en) Opera 8.0'), 'old')
  assert.equal(await answer('Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.0.0) Gecko/20020610'), 'new')
  assert.equal(await answer('Mozilla/5.0 (X11; U; Linux i686; en-US; rv:0.9) Gecko/2002'), 'old')
})

test('browser: those nobody listed, ancient texts, and no name at all', async () => {
  assert.equal(await answer('Something new'), 'new')
  assert.equal(await answer('Links (2.1)'), 'old')
  assert.equal(await answer('Mozilla/4.72 [en] (X11; U)'), 'old')
  assert.equal(await answer(null), 'new')
  assert.equal(await answer('Something new', '/default'), 'old')
})
