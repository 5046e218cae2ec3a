// `portico serve --enable-backlog-metric`: StatsD hears each second how many wait.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { datagramPeer } from '../helpers/datagrams.ts'
import { eventually, get, needs, serveApp } from '../helpers/index.ts'
import { env } from './serve-command.ts'

const APP = `import os, time
def app(environ, start_response):
    while not os.path.exists('go'):
        time.sleep(0.02)
    start_response('200 OK', [])
    return [b'ok']
`

test('requests that no worker has begun are counted, in all threads', async t => {
  if (!needs(t, 'python3')) return
  const statsd = await datagramPeer(t, () => [])
  const text = (): string => statsd.heard.map(one => one.text).join('\n')
  const args = ['--statsd-host', `127.0.0.1:${statsd.port}`, '--statsd-prefix', 'site', '--enable-backlog-metric']
  const server = await serveApp(t, [...args, '--front-threads', '2', 'app:app'], { files: { 'app.py': APP }, env })
  await eventually(() => /^site\.gunicorn\.backlog:0\|h$/m.test(text()))
  const answers = Array.from({ length: 4 }, () => get(server.port))
  // One is being served.
  await eventually(() => /^site\.gunicorn\.backlog:3\|h$/m.test(text()))
  assert.doesNotMatch(text(), /backlog:[4-9]/)
  writeFileSync(join(server.dir, 'go'), '')
  for (const answer of answers) assert.equal((await answer).text, 'ok')
  const before = statsd.heard.length
  await eventually(() => statsd.heard.slice(before).some(one => one.text.includes('site.gunicorn.backlog:0|h')))
})

test('nobody hears of it who has not asked', async t => {
  if (!needs(t, 'python3')) return
  const statsd = await datagramPeer(t, () => [])
  const args = ['--statsd-host', `127.0.0.1:${statsd.port}`, 'app:app']
  const server = await serveApp(t, args, { files: { 'app.py': APP, go: '' }, env })
  await get(server.port)
  await eventually(() => statsd.heard.some(one => one.text.includes('gunicorn.requests')))
  assert.ok(!statsd.heard.some(one => one.text.includes('backlog')))
})
