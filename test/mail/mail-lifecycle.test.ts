// Mail sessions and the program's life: reloads, the end, its limits, and that nothing is left of a session that is over.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import { accepts, eventually, type RawClient, type Server } from '../helpers/index.ts'
import { answer, authServer, imapStore, say, serveMail, welcome } from './servers.ts'

function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Where the sessions are: the youngest of master and front. */
function frontOf(server: Server): number {
  return Math.max(...server.processes().map(({ pid }) => pid))
}

const LOGIN = 'a LOGIN me secret\r\n'

async function loggedIn(client: RawClient): Promise<RawClient> {
  assert.equal(await say(client, LOGIN), 'a OK welcome\r\n')
  return client
}

test('a reload leaves sessions alone, whatever they are at', async t => {
  const mails = await imapStore(t)
  const auth = await authServer(t, () => welcome(mails.port))
  const proxy = await serveMail(t, auth, ['protocol imap; imap_capabilities OLD;'])
  const proxied = await loggedIn(await proxy.client())
  const idle = await proxy.client()
  await proxy.reload(
    `mail { auth_http 127.0.0.1:${auth.port}; imap_capabilities NEW; server { listen 127.0.0.1:%%PORT_0%%; protocol imap; } }`,
  )
  const capability = async (client: RawClient): Promise<string> =>
    (await say(client, 'b CAPABILITY\r\n', 'completed\r\n')).split(' ')[2]!
  await eventually(async () => (await capability(await proxy.client())) === 'NEW')
  assert.equal(await capability(idle), 'OLD')
  await loggedIn(idle)
  assert.equal(await say(proxied, 'b NOOP\r\n'), 'b OK NOOP\r\n')
})

test('told to quit, the program waits for its sessions', async t => {
  const mails = await imapStore(t)
  const auth = await authServer(t, () => welcome(mails.port))
  const proxy = await serveMail(t, auth, ['protocol imap;'])
  const client = await loggedIn(await proxy.client())
  const stopped = proxy.stop()
  await eventually(async () => !(await accepts(proxy.port)))
  assert.equal(await say(client, 'b NOOP\r\n'), 'b OK NOOP\r\n')
  client.end()
  assert.equal(await stopped, 0)
})

test('worker_shutdown_timeout ends those that go on', async t => {
  const mails = await imapStore(t)
  const auth = await authServer(t, () => welcome(mails.port))
  const proxy = await serveMail(t, auth, ['protocol imap;'], { conf: 'worker_shutdown_timeout 200ms;' })
  const proxied = await loggedIn(await proxy.client())
  const idle = await proxy.client()
  const asking = await proxy.client()
  auth.script = () => null
  await asking.send(LOGIN)
  await eventually(() => auth.requests.length === 2)
  assert.equal(await proxy.stop(), 0)
  for (const client of [proxied, idle, asking]) assert.equal(await client.closed(), '')
  await eventually(() => mails.sockets.size === 0)
})

test('worker_connections counts clients, questions and servers behind', async t => {
  const mails = await imapStore(t)
  const auth = await authServer(t, () => welcome(mails.port))
  const conf = 'worker_processes 1; events { worker_connections 6; }'
  const proxy = await serveMail(t, auth, ['protocol imap;'], { conf })
  const one = await loggedIn(await proxy.client())
  const others = await several(proxy, 4)
  // Six with the server behind: nobody can be asked.
  await others[0]!.send(LOGIN)
  assert.equal(await others[0]!.closed(), '* BAD internal server error\r\n')
  await eventually(() =>
    /\[alert\].* 6 worker_connections are not enough while in http auth state/.test(proxy.errorLog()),
  )
  for (const client of others) client.destroy()
  one.destroy()
  await eventually(async () => {
    const client = await proxy.client()
    const heard = await say(client, LOGIN)
    client.destroy()
    return heard === 'a OK welcome\r\n'
  })
})

async function several(proxy: { client(): Promise<RawClient> }, count: number): Promise<RawClient[]> {
  const clients = []
  while (clients.length < count) clients.push(await proxy.client())
  return clients
}

test('sessions of all kinds leave no descriptor behind', async t => {
  const mails = await imapStore(t)
  const auth = await authServer(t, () => welcome(mails.port))
  const proxy = await serveMail(t, auth, ['protocol imap; auth_http_timeout 100ms;'])
  const kinds: ((client: RawClient) => Promise<unknown>)[] = [
    async client => client.reset(),
    async client => client.end(),
    client => say(client, 'a LOGOUT\r\n'),
    async client => (await loggedIn(client)).end(),
    async client => (await loggedIn(client)).reset(),
    async client => {
      await client.send(LOGIN)
      client.reset()
    },
    async client => {
      auth.script = () => answer('Auth-Status: no')
      await client.send(LOGIN)
      await client.closed()
    },
    async client => {
      auth.script = () => null
      await client.send(LOGIN)
      await client.closed()
    },
  ]
  await loggedIn(await proxy.client()).then(client => client.destroy())
  await eventually(() => mails.sockets.size === 0)
  const front = frontOf(proxy)
  const before = descriptors(front)
  for (let i = 0; i < 64; i++) {
    auth.script = () => welcome(mails.port)
    const client = await proxy.client()
    await kinds[i % kinds.length]!(client)
    client.destroy()
  }
  auth.script = () => welcome(mails.port)
  await eventually(() => descriptors(front) <= before)
  await eventually(() => mails.sockets.size === 0)
})
