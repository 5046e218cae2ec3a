// Signal handlers that an application installs for itself: Gunicorn's workers leave those that are set while they load it.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, serveApp, within, writeFiles } from '../helpers/index.ts'
import { env } from './serve-command.ts'

const HANDLERS = `import faulthandler, os, signal
def note(number, frame):
    with open('noted', 'a') as file:
        file.write('%s %d%s\\n' % (signal.Signals(number).name, os.getpid(), ' gone' if os.path.exists('go') else ''))
for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):
    signal.signal(number, note)
faulthandler.register(signal.SIGUSR2, open('stacks', 'a'))
`

const APP = `import asyncio, os, time
def application(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/slow':
        open('begun', 'w').close()
        while not os.path.exists('go'):
            time.sleep(0.01)
    return [str(os.getpid()).encode()]
async def asgi(scope, receive, send):
    if scope['type'] == 'http':
        if scope['path'] == '/slow':
            open('begun', 'w').close()
            while not os.path.exists('go'):
                await asyncio.sleep(0.01)
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': str(os.getpid()).encode()})
`

for (const [kind, preload] of [
  ['sync', true],
  ['sync', false],
  ['gthread', false],
  ['gevent', false],
  ['asgi', false],
] as const) {
  test(`handlers that an application installs have their signals (${kind}, preload_app ${preload})`, async t => {
    if (!needs(t, 'python3') || (kind === 'gevent' && !needs(t, 'gevent'))) return
    const files = { 'own.py': HANDLERS + APP, 'gunicorn.conf.py': `preload_app = ${preload ? 'True' : 'False'}\n` }
    const module = kind === 'asgi' ? 'own:asgi' : 'own'
    const server = await serveApp(t, ['-k', kind, '-w', '1', module], { files, env })
    const pid = Number((await get(server.port)).text)
    process.kill(pid, 'SIGUSR1')
    await eventually(() => server.file('noted') === `SIGUSR1 ${pid}\n`)
    process.kill(pid, 'SIGUSR2')
    await eventually(() => /most recent call first/.test(server.file('stacks')))
    const answer = get(server.port, '/slow')
    await eventually(() => existsSync(join(server.dir, 'begun')))
    const stopped = server.stop('SIGTERM')
    await eventually(() => refuses(server.port))
    writeFiles(server.dir, { go: '' })
    assert.equal((await answer).text, String(pid))
    assert.equal(await within(stopped, 30_000, () => server.output), 0)
    assert.equal(server.file('noted'), `SIGUSR1 ${pid}\nSIGTERM ${pid} gone\n`)
  })
}

test('a handler of SIGQUIT is called when the server ends at once, and keeps no worker', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-w', '1', 'own'], { files: { 'own.py': HANDLERS + APP }, env })
  const pid = Number((await get(server.port)).text)
  assert.equal(await within(server.stop('SIGINT'), 30_000, () => server.output), 0)
  assert.match(server.file('noted'), new RegExp(`^SIGQUIT ${pid}$`, 'm'))
})

function refuses(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(false))
    socket.on('error', () => resolve(true))
    socket.on('connect', () => socket.destroy())
  })
}
