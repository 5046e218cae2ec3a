// No request is smuggled past us to an application: what its workers are asked is what the client's bytes contain.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { seed } from '../../codec/h1/feeding.ts'
import { needs, serve, tempDir } from '../../helpers/index.ts'
import type { SeenRequest } from './backends.ts'
import { converseAtRandom } from './converse.ts'

const CASES = Number(process.env['DESYNC'] ?? 300)

const WSGI = `
import json
def application(environ, start_response):
    body = environ['wsgi.input'].read()
    method, target = environ['REQUEST_METHOD'], environ['RAW_URI']
    with open('seen', 'a', encoding='latin1', newline='') as log:
        log.write(json.dumps({'method': method, 'target': target, 'body': body.decode('latin1'), 'head': ''}) + chr(10))
    text = f'<{method} {target} {len(body)}>'.encode('latin1')
    start_response('200 OK', [('Content-Length', str(len(text)))])
    return [text]
`
const ASGI = `
import json
async def application(scope, receive, send):
    if scope['type'] != 'http':
        raise RuntimeError('not http')
    body, more = b'', True
    while more:
        event = await receive()
        if event['type'] == 'http.disconnect':
            return
        body += event.get('body', b'')
        more = event.get('more_body', False)
    query = scope['query_string'].decode('latin1')
    method, target = scope['method'], scope['raw_path'].decode('latin1') + ('?' + query if query else '')
    with open('seen', 'a', encoding='latin1', newline='') as log:
        log.write(json.dumps({'method': method, 'target': target, 'body': body.decode('latin1'), 'head': ''}) + chr(10))
    text = f'<{method} {target} {len(body)}>'.encode('latin1')
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', str(len(text)).encode())]})
    await send({'type': 'http.response.body', 'body': text})
`
const NODE = `
import { appendFileSync } from 'node:fs'
export default (request, response) => {
  const parts = []
  request.on('data', chunk => parts.push(chunk)).on('end', () => {
    const body = Buffer.concat(parts).toString('latin1')
    const { method, url: target } = request
    appendFileSync('seen', JSON.stringify({ method, target, body, head: '' }) + '\\n', 'latin1')
    const text = Buffer.from('<' + method + ' ' + target + ' ' + body.length + '>', 'latin1')
    response.writeHead(200, { 'Content-Length': text.length })
    response.end(text)
  })
}
`

const start = seed()

for (const [kind, file, text, module, more] of [
  ['sync', 'wsgi.py', WSGI, 'wsgi:application', ''],
  ['sync, bodies as they come', 'wsgi.py', WSGI, 'wsgi:application', 'app_request_buffering off;'],
  ['asgi', 'asgi.py', ASGI, 'asgi:application', 'app_request_buffering off;'],
  ['node', 'app.mjs', NODE, './app.mjs', ''],
] as const) {
  test(`no request is smuggled past us to ${kind} (FUZZ_SEED=${start})`, { timeout: 120_000 + CASES * 50 }, async t => {
    if (!needs(t, 'python3')) return
    const dir = tempDir(t)
    writeFileSync(join(dir, file), text)
    const log = join(dir, 'seen')
    writeFileSync(log, '', { mode: 0o666 })
    const server = await serve(t, {
      dir,
      conf: `worker_processes 1;
http {
  access_log off;
  app a { directory ${dir}; module ${module}; workers 1; kind ${kind.split(',')[0]}; environment PYTHONDONTWRITEBYTECODE=1; }
  server { listen 127.0.0.1:%%PORT_0%%; client_max_body_size 100k; location / { app_pass a; ${more} } }
}`,
    })
    const take = (): SeenRequest[] => {
      const lines = readFileSync(log, 'latin1').split('\n').filter(Boolean)
      truncateSync(log)
      return lines.map(line => JSON.parse(line) as SeenRequest)
    }
    await converseAtRandom(t, server.port, { take, faults: [] }, start, CASES)
  })
}
