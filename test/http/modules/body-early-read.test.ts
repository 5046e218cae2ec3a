import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { request } from '../../helpers/index.ts'

test('client_body_early_read: rewrite rules see the body where any of the conditions holds', async t => {
  const { port } = await serveHttp(
    t,
    `client_max_body_size 20;
     client_body_early_read $arg_a $arg_b; client_body_early_read $arg_c;
     location / { if ($request_body ~ "name=([a-z]+)") { return 200 "hello $1"; } return 200 "[$request_body]"; }`,
  )
  const post = async (path: string, body: string): Promise<string> => {
    const { status, text } = await request({ address: port, path, method: 'POST', body })
    return status === 200 ? text : `${status}`
  }
  for (const path of ['/?a=1', '/?b=x', '/?c=1&a=0']) assert.equal(await post(path, 'name=you'), 'hello you', path)
  for (const path of ['/', '/?a=0', '/?a=&b=0']) assert.equal(await post(path, 'name=you'), '[]', path)
  assert.equal(await post('/?a=1', 'x'.repeat(21)), '413')
  assert.equal((await request({ address: port, path: '/?a=1' })).text, '[]')
})
