import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveInside } from '../../helpers/inside.ts'
import { tempDir, writeFiles } from '../../helpers/temp-dir.ts'
import { eventually, request, serve, type Response, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(file, {
  files: { 'html/big': 'x'.repeat(30000), 'html/small': 'y'.repeat(900) },
  conf: `
    http {
      root html;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        add_header X-Rate $limit_rate;
        location / { }
        location /limited/ { alias html/; limit_rate 10k; }
        location /after/ { alias html/; limit_rate 10k; limit_rate_after 25k; }
        location /set/ { set $limit_rate $arg_r; alias html/; }
        location /text { limit_rate 1k; return 200 abcdefghij; }
      }
    }`,
})

async function timed(path: string): Promise<{ response: Response; ms: number }> {
  const start = performance.now()
  const response = await request({ address: server.port, path })
  return { response, ms: performance.now() - start }
}

/** The quickest of a few: what others do on the machine is not ours. */
async function quickest(path: string, ms: number): Promise<number> {
  let best = Infinity
  for (let round = 0; round < 6 && best >= ms; round++) best = Math.min(best, (await timed(path)).ms)
  return best
}

test('limit_rate: a response takes as long as it must and comes whole', async () => {
  const [slow, after, free] = await Promise.all([timed('/limited/big'), timed('/after/big'), timed('/big')])
  assert.ok(slow.ms > 900, `${slow.ms}`)
  assert.ok(free.ms < slow.ms && after.ms < slow.ms)
  for (const { response } of [slow, after, free]) assert.equal(response.body.toString(), 'x'.repeat(30000))
  assert.ok((await quickest('/limited/small', 500)) < 500)
})

test('$limit_rate: set by the request, and nonsense is told', async () => {
  const { response, ms } = await timed('/set/big?r=10k')
  assert.equal(response.header('x-rate'), '10240')
  assert.ok(ms > 900)
  assert.equal(response.body.length, 30000)
  assert.ok((await quickest('/set/big?r=fast', 900)) < 900)
  await eventually(() => server.errorLog().includes('invalid $limit_rate "fast"'))
})

test('limit_rate: short answers and HEAD are not held', async () => {
  assert.equal((await timed('/text')).response.body.toString(), 'abcdefghij')
  const head = await request({ address: server.port, method: 'HEAD', path: '/limited/big' })
  assert.equal(head.header('content-length'), '30000')
})

test('limit_rate: a response goes on when the clock is set back', async t => {
  const dir = tempDir(t)
  writeFiles(dir, { 'html/big': 'x'.repeat(3000) })
  const { port } = await serveInside(t, {
    dir,
    conf: 'http { root html; limit_rate 1k; server { listen 127.0.0.1:%%PORT_0%%; } }',
  })
  const answer = request({ address: port, path: '/big', timeoutMs: 20_000 })
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() - 86_400_000 })
  assert.equal((await answer).body.length, 3000)
})
