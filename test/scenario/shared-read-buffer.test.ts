// All connections of a thread read into the same memory. Whoever cannot be written to at once must still get what was meant for
// it: slow clients of different responses at the same time, through an application and a proxy before it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import { serve } from '../helpers/index.ts'

const application = `
import hashlib
def application(environ, start_response):
    start_response('200 OK', [])
    return pieces(environ['QUERY_STRING'].encode())
def pieces(seed):
    piece = hashlib.sha256(seed).digest()
    for _ in range(150):
        piece = hashlib.sha256(piece).digest()
        yield piece * 1024
`

/** Twelve clients with little room for what comes, who read a little at a time; prints who did not get its own. */
const clients = `
import socket, sys, threading, time
from application import pieces
wrong = []
def fetch(port, path, seed):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 30000)
    sock.connect(('127.0.0.1', port))
    sock.sendall(b'GET %s?%s HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' % (path, seed))
    got = []
    while True:
        part = sock.recv(65536)
        if not part:
            break
        got.append(part)
        time.sleep(0.0003)
    body = b''.join(got).split(b'\\r\\n\\r\\n', 1)[1]
    if body != b''.join(pieces(seed)):
        wrong.append((port, path, seed, len(body)))
for port in sys.argv[1:]:
    for path in (b'/', b'/b/'):
        threads = [threading.Thread(target=fetch, args=(int(port), path, b'%d' % i)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
print(wrong)
`

const conf = `
worker_processes 1;
events { }
http {
  access_log off;
  app pieces { directory %%DIR%%; module application:application; workers 12; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass pieces; app_buffering off; } location /b/ { app_pass pieces; } }
  server {
    listen 127.0.0.1:%%PORT_1%%;
    location / { proxy_pass http://127.0.0.1:%%PORT_0%%; proxy_buffering off; }
    location /b/ { proxy_pass http://127.0.0.1:%%PORT_0%%; }
  }
}`

test('slow clients at the same time each get their own response, whole', async t => {
  const server = await serve(t, { conf, files: { 'application.py': application, 'clients.py': clients } })
  const child = spawn('python3', [join(server.dir, 'clients.py'), ...server.ports.map(String)], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', bytes => (said += bytes))
  await once(child, 'close')
  assert.equal(said, '[]\n')
})
