import assert from 'node:assert/strict'
import { dlopen } from 'node:ffi'
import test from 'node:test'
import type { Site } from '../../../src/config/directive.ts'
import { socketOptions } from '../../../src/http/core/listen-options.ts'
import { ListeningSockets } from '../../../src/process/sockets.ts'
import { freePort } from '../../helpers/index.ts'

const at = {
  fail(problem: string): never {
    throw new Error(problem)
  },
} as unknown as Site

const read = (word: string): string[] => socketOptions(word, at)!.map(({ text, value }) => `${text} ${value}`)

test('parameters of listen become options of the socket', () => {
  assert.deepEqual(read('rcvbuf=64k'), ['SO_RCVBUF 65536'])
  assert.deepEqual(read('sndbuf=1m'), ['SO_SNDBUF 1048576'])
  assert.deepEqual(read('deferred'), ['TCP_DEFER_ACCEPT 1'])
  assert.deepEqual(read('fastopen=3'), ['TCP_FASTOPEN 3'])
  assert.deepEqual(read('so_keepalive=off'), ['SO_KEEPALIVE 0'])
  assert.deepEqual(read('so_keepalive=30m::10'), ['SO_KEEPALIVE 1', 'TCP_KEEPIDLE 1800', 'TCP_KEEPCNT 10'])
  assert.deepEqual(read('so_keepalive=:5'), ['SO_KEEPALIVE 1', 'TCP_KEEPINTVL 5'])
  assert.equal(socketOptions('setfib=1', at), null)
})

test('what nginx refuses is refused in its words', () => {
  for (const [word, problem] of [
    ['rcvbuf=x', 'invalid rcvbuf "rcvbuf=x"'],
    ['fastopen=', 'invalid fastopen "fastopen="'],
    ['so_keepalive=', 'invalid so_keepalive value: ""'],
    ['so_keepalive=::', 'invalid so_keepalive value: "::"'],
    ['so_keepalive=1:2:3:4', 'invalid so_keepalive value: "1:2:3:4"'],
  ] as const) {
    assert.throws(() => socketOptions(word, at), { message: problem })
  }
})

test('the kernel has them, also those of a socket that is open already', async t => {
  const { functions } = dlopen(null, {
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
  }) as unknown as { functions: { getsockopt(fd: number, l: number, n: number, v: Buffer, s: Buffer): number } }
  const port = await freePort()
  const sockets = new ListeningSockets()
  t.after(() => sockets.closeAll())
  const address = { key: 'a', host: '127.0.0.1', port, path: '', backlog: 16, ipv6only: false }
  const has = (level: number, name: number): number => {
    const [value, size] = [Buffer.alloc(4), Buffer.from([4, 0, 0, 0])]
    assert.equal(functions.getsockopt(sockets.fd('a'), level, name, value, size), 0)
    return value.readInt32LE()
  }
  const options = ['deferred', 'so_keepalive=60:10:4', 'rcvbuf=16k'].flatMap(word => socketOptions(word, at)!)
  await sockets.bind([{ ...address, options }], assert.fail)
  assert.deepEqual([has(1, 9), has(6, 4), has(6, 5), has(6, 6)], [1, 60, 10, 4])
  assert.equal(has(1, 8), 32768)
  assert.ok(has(6, 9) > 0)
  await sockets.bind([{ ...address, options: socketOptions('so_keepalive=off', at)! }], assert.fail)
  assert.equal(has(1, 9), 0)
})

test('what the kernel does not have is told, and the socket serves all the same', async t => {
  const sockets = new ListeningSockets()
  t.after(() => sockets.closeAll())
  const said: string[] = []
  const options = [{ level: 6, name: 9999, value: 1, text: 'TCP_NEVER' }]
  const address = {
    key: 'a',
    host: '127.0.0.1',
    port: await freePort(),
    path: '',
    backlog: 16,
    ipv6only: false,
    options,
  }
  assert.deepEqual(await sockets.bind([address], problem => said.push(problem)), ['a'])
  assert.deepEqual(said, [`setsockopt(TCP_NEVER, 1) 127.0.0.1:${address.port} failed, ignored`])
})
