import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { eventually, origin, request, serve, type Response, type Server } from '../../helpers/index.ts'

const file = { after }
const echo = await origin(
  file,
  ({ body }) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body.toString()}`,
)
const conf = `
  worker_processes 2;
  http {
    limit_req_zone $arg_k zone=slow:64k rate=1r/m;
    limit_req_zone $arg_k zone=fast:64k rate=10r/s;
    limit_req_zone $arg_k zone=slowish:64k rate=20r/s;
    limit_req_zone $arg_j zone=other:64k rate=1r/m;
    server {
      listen 127.0.0.1:%%PORT_0%%;
      add_header X-Status $limit_req_status always;
      location /slow { limit_req zone=slow; try_files /none =204; }
      location /burst { limit_req zone=slow burst=9 nodelay; limit_req_status 429; try_files /none =204; }
      location /upload { limit_req zone=slowish burst=20; proxy_pass http://${echo.path}; }
      location /delayed { limit_req zone=fast burst=20; try_files /none =204; }
      location /dry { limit_req zone=slow; limit_req_dry_run on; limit_req_log_level warn; try_files /none =204; }
      location /two { limit_req zone=slow; limit_req zone=other; try_files /none =204; }
    }
  }`
const server: Server = await serve(file, conf)
const ask = (path: string): Promise<Response> => request({ address: server.port, path })

test('limit_req: a second request past the burst is refused, and others are not concerned', async () => {
  assert.equal((await ask('/slow?k=a')).status, 204)
  const refused = await ask('/slow?k=a')
  assert.equal(refused.status, 503)
  assert.equal(refused.header('x-status'), 'REJECTED')
  assert.equal((await ask('/slow?k=b')).header('x-status'), 'PASSED')
  assert.equal((await ask('/slow')).status, 204)
  assert.equal((await ask('/slow')).status, 204)
  await eventually(() =>
    /\[error\].* limiting requests, excess: [01]\.\d{3} by zone "slow", client/.test(server.errorLog()),
  )
})

test('limit_req: two threads count as one', async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask('/burst?k=threads')))
  assert.equal(answers.filter(answer => answer.status === 204).length, 10)
  assert.equal(answers.filter(answer => answer.status === 429).length, 30)
})

test('limit_req: what is above the rate waits', async () => {
  const start = performance.now()
  const answers = await Promise.all(Array.from({ length: 11 }, () => ask('/delayed?k=d')))
  assert.ok(performance.now() - start >= 950)
  assert.ok(answers.every(answer => answer.status === 204))
  assert.ok(answers.some(answer => answer.header('x-status') === 'DELAYED'))
  await eventually(() => /\[warn\].* delaying request, excess: \d+\.\d{3}, by zone "fast"/.test(server.errorLog()))
})

test('limit_req: a dry run only tells', async () => {
  await ask('/dry?k=dry')
  assert.equal((await ask('/dry?k=dry')).header('x-status'), 'REJECTED_DRY_RUN')
  await eventually(() => /\[warn\].* limiting requests, dry run, excess/.test(server.errorLog()))
})

test('limit_req: of several limits the one that refuses keeps the others from counting', async () => {
  assert.equal((await ask('/two?k=x&j=1')).status, 204)
  assert.equal((await ask('/two?k=y&j=1')).status, 503)
  assert.equal((await ask('/two?k=y&j=2')).status, 204)
})

test('limit_req: counts outlive a reload', async () => {
  await ask('/slow?k=kept')
  await server.reload(conf)
  await eventually(async () => (await ask('/slow?k=kept')).status === 503)
})

test('limit_req: a delayed request keeps its body', async () => {
  const bodies = Array.from({ length: 4 }, (_, i) => `${i}`.repeat(100_000 + i))
  const answers = await Promise.all(
    bodies.map(body => request({ address: server.port, method: 'POST', path: '/upload?k=upload', body })),
  )
  assert.deepEqual(answers.map(answer => answer.body.toString()).sort(), bodies)
})
