// What clients say stands in the error log as text: it ends no line, so that nobody writes lines of their own, and moves no cursor
// of the terminal that shows it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ErrorLog, ERR, LogFiles } from '../../src/log/error-log.ts'
import { eventually, needs, raw, serve, tempDir } from '../helpers/index.ts'
import { serveHttp } from '../helpers/http.ts'

// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\0-\x09\x0b-\x1f\x7f]/

test('no request writes a line of its own into the error log, nor a control character', async t => {
  const server = await serveHttp(t, 'location / { root html; } location /out { return 200 ok; }')
  const before = server.errorLog().split('\n').length
  for (const [line, field] of [
    ['GET /a%0a2026/01/01%2000:00:00%20[emerg]%201%231:%20forged%1b[2J%7f%08 HTTP/1.1', 'X: y'],
    ['GET /\x1b[2J HTTP/1.1', 'X: y'],
    ['GET /b HTTP/1.1', 'X: a\x1b[2Jb'],
    ['GET /c HTTP/1.1', 'Referer: a\tb'],
  ] as const) {
    const client = await raw(t, server.port)
    await client.send(`${line}\r\nHost: h\r\nConnection: close\r\n${field}\r\n\r\n`)
    await client.closed()
  }
  const lines = server
    .errorLog()
    .split('\n')
    .slice(before - 1)
  const kept = lines.filter(text => text !== '')
  for (const text of kept) assert.match(text, /^\d{4}\/\d\d\/\d\d [\d:]{8} \[\w+\] \d+#\d+: /)
  assert.ok(kept.some(text => text.includes('\\x0A2026/01/01 00:00:00 [emerg] 1#1: forged\\x1B[2J\\x7F\\x08" failed')))
  assert.doesNotMatch(lines.join('\n'), CONTROLS)
})

test('what the program itself says may have several lines, and keeps its other bytes', t => {
  const path = join(tempDir(t), 'error.log')
  const files = new LogFiles()
  const log = new ErrorLog([{ path, level: ERR }], files)
  log.log(ERR, 'traceback\n\tat x\r\x1b[0m \xe9')
  log.log(ERR, 'said\nso \xc2\x9b2J \xc3\x9b', 7)
  files.close()
  const [first, second, third, last] = readFileSync(path, 'latin1').split('\n')
  assert.match(first!, /: traceback$/)
  assert.equal(second, '\tat x\\x0D\\x1B[0m \xe9')
  assert.match(third!, /: \*7 said\\x0Aso \\xC2\\x9B2J \xc3\x9b$/)
  assert.equal(last, '')
})

test('an application’s traceback keeps its lines, and the request behind it stays one', async t => {
  if (!needs(t, 'python3')) return
  const server = await serve(t, {
    conf: `http { app broken { directory %%DIR%%; module broken:application; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass broken; } } }`,
    files: { 'broken.py': 'def application(environ, start_response):\n    raise ValueError("why")\n' },
  })
  const client = await raw(t, server.port)
  await client.send('GET /%0aforged HTTP/1.1\r\nHost: h\r\nReferer: a\tb\r\n\r\n')
  assert.equal((await client.response()).status, 500)
  await eventually(() => server.errorLog().includes('ValueError'))
  const log = server.errorLog()
  assert.match(
    log,
    /request "GET \/%0aforged"\nTraceback \(most recent call last\):\n  File "[^\n]*\n[^]*\nValueError: why, client: /,
  )
  assert.match(log, /referrer: "a\\x09b"\n/)
})
