import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { ListeningSockets } from '../../src/process/sockets.ts'
import type { ListenAddress } from '../../src/process/plan.ts'
import { freePort, tempDir } from '../helpers/index.ts'

function tcp(port: number, host = '127.0.0.1'): ListenAddress {
  return { key: `${host}:${port}`, host, port, path: '', backlog: 16, ipv6only: true }
}

function unix(path: string): ListenAddress {
  return { key: `unix:${path}`, host: '', port: 0, path, backlog: 16, ipv6only: false }
}

function connects(where: number | string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = typeof where === 'string' ? net.connect(where) : net.connect(where, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

test('a bound address queues connections at once, and refuses them when it is closed', async () => {
  const port = await freePort()
  const sockets = new ListeningSockets()
  assert.deepEqual(await sockets.bind([tcp(port)], assert.fail), [`127.0.0.1:${port}`])
  assert.ok(await connects(port))
  sockets.closeAll()
  assert.equal(await connects(port), false)
})

test('an address that is open already is not bound again', async () => {
  const [one, two] = [await freePort(), await freePort()]
  const sockets = new ListeningSockets()
  await sockets.bind([tcp(one)], assert.fail)
  const fd = sockets.fd(`127.0.0.1:${one}`)
  assert.deepEqual(await sockets.bind([tcp(one), tcp(two)], assert.fail), [`127.0.0.1:${two}`])
  assert.equal(sockets.fd(`127.0.0.1:${one}`), fd)
  sockets.closeAll()
})

test('an address in use is tried five times, told in the words of nginx, and nothing else stays open', async t => {
  const other = net.createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const { port } = other.address() as net.AddressInfo
  const free = await freePort()
  const sockets = new ListeningSockets()
  const told: string[] = []
  assert.equal(await sockets.bind([tcp(free), tcp(port)], problem => told.push(problem)), null)
  assert.deepEqual(
    told,
    Array.from({ length: 5 }, () => `bind() to 127.0.0.1:${port} failed (98: Address already in use)`),
  )
  assert.equal(await connects(free), false)
})

test('an address that becomes free meanwhile is had', async () => {
  const other = net.createServer()
  const port = await freePort()
  await new Promise<void>(resolve => other.listen(port, '127.0.0.1', resolve))
  const sockets = new ListeningSockets()
  const opened = await sockets.bind([tcp(port)], () => other.close())
  assert.deepEqual(opened, [`127.0.0.1:${port}`])
  sockets.closeAll()
})

test('an address this host does not have fails without another try', async () => {
  const told: string[] = []
  const sockets = new ListeningSockets()
  assert.equal(await sockets.bind([tcp(80, '192.0.2.1')], problem => told.push(problem)), null)
  assert.deepEqual(told, ['bind() to 192.0.2.1:80 failed (99: Cannot assign requested address)'])
})

test('two sockets of this program cannot have the same address', async () => {
  const port = await freePort()
  const [one, two] = [new ListeningSockets(), new ListeningSockets()]
  await one.bind([tcp(port)], assert.fail)
  const told: string[] = []
  assert.equal(await two.bind([tcp(port)], problem => told.push(problem)), null)
  assert.match(told[0]!, /98: Address already in use/)
  one.closeAll()
})

test('a Unix socket is open to everybody, leaves no other file, and its file goes with it', async t => {
  const dir = tempDir(t)
  const path = join(dir, 'a.sock')
  const sockets = new ListeningSockets()
  await sockets.bind([unix(path)], assert.fail)
  assert.deepEqual(readdirSync(dir), ['a.sock'])
  assert.equal(statSync(path).mode & 0o777, 0o666)
  assert.ok(await connects(path))
  sockets.closeAll()
  assert.equal(existsSync(path), false)
})

test('where there is no folder for a Unix socket, that is what is told', async t => {
  const path = join(tempDir(t), 'missing/a.sock')
  const told: string[] = []
  assert.equal(await new ListeningSockets().bind([unix(path)], problem => told.push(problem)), null)
  assert.equal(told[0], `bind() to unix:${path} failed (2: No such file or directory)`)
})

test('a Unix socket whose name is taken is refused and the file stays', async t => {
  const path = join(tempDir(t), 'a.sock')
  writeFileSync(path, 'a file')
  const told: string[] = []
  assert.equal(await new ListeningSockets().bind([unix(path)], problem => told.push(problem)), null)
  assert.equal(told[0], `bind() to unix:${path} failed (98: Address already in use)`)
  assert.ok(existsSync(path))
})
