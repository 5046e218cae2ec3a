import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { raw, type RequestOptions } from '../../helpers/index.ts'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'

const file = { after }
const server: HttpServer = await serveHttp(
  file,
  `location / { return 200; }
   location /none { keepalive_disable none; return 200; }
   location /both { keepalive_disable msie6 safari; return 200; }`,
)

const MSIE6 = 'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)'
const SAFARI = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_5_8) AppleWebKit/534.50 Version/5.0 Safari/533'

async function connection(path: string, agent: string, method = 'GET'): Promise<string | null> {
  const client = await raw(file, server.port)
  const options: RequestOptions = { path, method, headers: { 'User-Agent': agent } }
  return (await client.request(options)).header('connection')
}

test('keepalive_disable: after a POST of an old Internet Explorer the connection ends', async () => {
  assert.equal(await connection('/', MSIE6, 'POST'), 'close')
  assert.equal(await connection('/', MSIE6), 'keep-alive')
  assert.equal(await connection('/', MSIE6.replace(')', '; SV1)'), 'POST'), 'keep-alive')
  assert.equal(await connection('/', MSIE6.replace('6.0', '7.0'), 'POST'), 'keep-alive')
  assert.equal(await connection('/', `${MSIE6} Opera 8`, 'POST'), 'keep-alive')
  assert.equal(await connection('/none', MSIE6, 'POST'), 'keep-alive')
  assert.equal(await connection('/both', MSIE6, 'POST'), 'close')
})

test('keepalive_disable safari: for all requests of Safari on Mac OS X', async () => {
  assert.equal(await connection('/', SAFARI), 'keep-alive')
  assert.equal(await connection('/both', SAFARI), 'close')
  assert.equal(await connection('/both', SAFARI.replace('Safari', 'Chrome/1 Safari')), 'keep-alive')
})
