// `sticky` in an app block of kind node.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import type { Response } from '../helpers/message.ts'
import { get } from '../helpers/raw.ts'
import { serveApp, type Server } from '../helpers/serve.ts'
import { serveNode } from './node-file.ts'

const SOURCE = 'export default (request, response) => response.end(String(process.pid))'

function serveSticky(t: TestContext, app: string): Promise<Server> {
  return serveNode(t, 'own.mjs', SOURCE, app)
}

function ask(server: Server, headers: Record<string, string>): Promise<Response> {
  return get(server.port, '/', headers)
}

/** By which worker each is served, asked again and again. */
async function pidsOf(server: Server, clients: readonly Record<string, string>[]): Promise<string[]> {
  const rounds = []
  for (let round = 0; round < 3; round++)
    rounds.push(await Promise.all(clients.map(async headers => (await ask(server, headers)).text)))
  for (const round of rounds) assert.deepEqual(round, rounds[0])
  return rounds[0]!
}

/** One worker dies: its clients come to its successor, and nobody else's go elsewhere. */
async function outliveOne(server: Server, clients: readonly Record<string, string>[]): Promise<void> {
  const before = await pidsOf(server, clients)
  const victim = before[0]!
  process.kill(Number(victim), 'SIGKILL')
  const successor = await eventually(async () => {
    const { status, text } = await ask(server, clients[0]!)
    return status === 200 && !before.includes(text) ? text : ''
  })
  assert.deepEqual(
    await pidsOf(server, clients),
    before.map(pid => (pid === victim ? successor : pid)),
  )
}

const users = Array.from({ length: 20 }, (_, i) => ({ 'X-User': `user ${i}` }))

test('node: sticky hash sends what has the same text to the same worker', async t => {
  const server = await serveSticky(t, 'workers 4; sticky hash $http_x_user;')
  await eventually(async () => new Set(await pidsOf(server, users)).size === 4)
  await outliveOne(server, users)
})

test('node: sticky cookie gives each client a worker, with the parameters of an upstream', async t => {
  const server = await serveSticky(t, 'workers 3; sticky cookie mine path=/ httponly;')
  const pids = new Map<string, string>()
  await eventually(async () => {
    const answer = await get(server.port, '/')
    const [, cookie] = /^(mine=\w+); httponly; path=\/$/.exec(answer.header('set-cookie') ?? '')!
    pids.set(cookie!, answer.text)
    return pids.size === 3
  })
  const clients = [...pids.keys()].map(Cookie => ({ Cookie }))
  assert.deepEqual(await pidsOf(server, clients), [...pids.values()])
  await outliveOne(server, clients)
})

test('node: a worker that is replaced while it serves hands its clients on', async t => {
  const server = await serveSticky(t, 'workers 3; max_requests 200; sticky hash $http_x_user;')
  await eventually(async () => new Set(await pidsOf(server, users)).size === 3)
  const before = await pidsOf(server, users)
  const successor = await eventually(async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server, users[0]!)))
    return answers.map(({ text }) => text).find(text => text !== before[0])
  })
  assert.deepEqual(
    await pidsOf(server, users),
    before.map(pid => (pid === before[0] ? successor : pid)),
  )
})

test('serve --sticky: clients come to the same worker by their addresses or by a cookie', async t => {
  const files = { 'own.mjs': SOURCE }
  const server = await serveApp(t, ['-w', '3', '--sticky', 'address', 'own.mjs'], { files })
  await eventually(async () => (await get(server.port, '/')).status === 200)
  await new Promise(resolve => setTimeout(resolve, 300))
  await pidsOf(server, [{}, {}, {}, {}])
  const other = await serveApp(t, ['-w', '3', '--sticky', 'cookie', 'own.mjs'], { files })
  const cookie = await eventually(async () => (await get(other.port, '/')).header('set-cookie') ?? '')
  assert.match(cookie, /^portico_worker=\w+; httponly; path=\/$/)
  await pidsOf(other, [{ Cookie: cookie.replace(/;.*/, '') }])
  await assert.rejects(serveApp(t, ['--sticky', 'cookie', 'a:b']), /--sticky is for programs of Node/)
})
