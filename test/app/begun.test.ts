// Which requests a worker with many at a time has begun, as the front learns when the worker has been killed.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { Begun } from '../../src/app/dispatch/begun.ts'
import { tempDir } from '../helpers/index.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { get, request } from '../helpers/raw.ts'
import { busy, serveThings } from './things.ts'

for (const [kind, name] of [
  ['asgi', 'by_asgi'],
  ['gevent', 'by_wsgi'],
] as const) {
  test(`begun (${kind}): what a killed worker had not begun is served by another, what it had begun is lost`, async t => {
    if (!needs(t, 'python3', ...(kind === 'gevent' ? (['gevent'] as const) : []))) return
    const gate = join(tempDir(t), 'gate')
    execFileSync('mkfifo', [gate])
    const server = await serveThings(t, {
      module: `begins:${name}`,
      app: `kind ${kind}; ${kind === 'gevent' ? `python ${PYTHON};` : ''} workers 1; environment GATE=${gate};`,
    })
    const before = (await get(server.port, '/')).text
    assert.match(before, /^\d+ 0$/)
    const waits = get(server.port, '/wait')
    await busy(server, 1)
    // Its worker has come to it, since it has done with one that was sent later.
    assert.equal((await get(server.port, '/')).text, before)
    const blocks = get(server.port, '/block')
    const writer = await open(gate, 'w') // is there when somebody reads
    const sizes = [0, 10, 200_000]
    const held = Array.from({ length: 12 }, (_, i) =>
      request({ address: server.port, method: 'POST', path: '/held', body: Buffer.alloc(sizes[i % 3]!, 'x') }),
    )
    await busy(server, 14)
    await writer.close()
    assert.deepEqual([(await waits).status, (await blocks).status], [502, 502])
    const answers = await Promise.all(held)
    const after = (await get(server.port, '/')).text
    assert.notEqual(after, before)
    const pid = after.split(' ')[0]
    assert.deepEqual(
      answers.map(answer => [answer.status, answer.text]),
      answers.map((_, i) => [200, `${pid} ${sizes[i % 3]}`]),
    )
  })
}

test('begun (asgi): what waits with a worker that hangs is served by the one that takes its place', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveThings(t, { module: 'begins:by_asgi', app: 'kind asgi; workers 1; timeout 1s;' })
  await get(server.port, '/')
  assert.equal((await get(server.port, '/hang')).status, 504)
  // Some come too early and have waited too long when the worker is given up; those after them have not.
  const seen = new Set([504])
  const more: Promise<void>[] = []
  while (!seen.has(200)) {
    const asked = get(server.port, '/').then(answer => void seen.add(answer.status))
    more.push(asked)
    await Promise.race([asked, new Promise(resolve => setTimeout(resolve, 100))])
  }
  await Promise.all(more)
  assert.deepEqual(seen, new Set([504, 200]))
})

for (const kind of ['sync', 'threads'] as const) {
  test(`begun (${kind}): what workers had read and not begun is served, by however many they were killed`, async t => {
    if (!needs(t, 'python3')) return
    const dir = tempDir(t)
    const [deaths, begun] = [join(dir, 'deaths'), join(dir, 'begun')]
    mkdirSync(deaths)
    const server = await serveThings(t, {
      module: 'reads_and_dies',
      app: `kind ${kind}; ${kind === 'threads' ? 'threads 3;' : ''} workers 4; environment DEATHS=${deaths}; environment BEGUN=${begun};`,
    })
    assert.equal((await get(server.port, '/')).text, '0')
    for (const size of [0, 10, 200_000]) {
      for (let i = 0; i < 5; i++) writeFileSync(join(deaths, `${i}`), '')
      writeFileSync(begun, '')
      const body = Buffer.alloc(size, 'x')
      const answer = await request({ address: server.port, method: 'POST', path: '/deadly', body })
      assert.deepEqual([answer.status, answer.text, readFileSync(begun, 'latin1')], [200, `${size}`, 'x'])
      assert.deepEqual(readdirSync(deaths), [])
    }
    writeFileSync(begun, '')
    assert.equal((await get(server.port, '/dies')).status, 502)
    assert.equal(readFileSync(begun, 'latin1'), 'x')
  })
}

test('begun: the last number is read from the connection’s place; what is no such file is not used', t => {
  const folder = tempDir(t)
  const path = join(folder, 'begun')
  const cells = new Uint32Array(4)
  cells[2] = 2 ** 32 - 1
  writeFileSync(path, cells)
  const begun = Begun.open(path, 2)
  assert.ok(begun !== null)
  assert.equal(begun.last(), 2 ** 32 - 1)
  writeFileSync(path, '')
  assert.equal(begun.last(), -1)
  begun.close()
  writeFileSync(path, cells)
  symlinkSync(path, join(folder, 'link'))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  for (const [name, link] of [
    ['begun', 0],
    ['begun', 4],
    ['link', 1],
    ['pipe', 1],
    ['none', 1],
  ] as const) {
    assert.equal(Begun.open(join(folder, name), link), null, `${name} ${link}`)
  }
})
