import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { atEnd, eventually, fileScope, serve } from '../helpers/index.ts'

const scope = fileScope()

/** Greets, and waits until its client goes. */
const greeter = net.createServer(socket => {
  socket.on('error', () => {})
  socket.write('hello')
})
await once(greeter.listen(0, '127.0.0.1'), 'listening')
atEnd(scope, () => void greeter.close())
const to = `127.0.0.1:${(greeter.address() as net.AddressInfo).port}`

const server = await serve(scope, {
  conf: `
worker_processes 2;
stream {
  log_format line '$server_port $remote_addr $status $limit_conn_status';
  access_log access.log line;
  limit_conn_zone $remote_addr zone=one:64k;
  limit_conn_zone $key zone=named:64k;
  server { listen 127.0.0.1:%%PORT_0%%; limit_conn one 5; proxy_pass ${to}; }
  server { listen 127.0.0.1:%%PORT_1%%; limit_conn one 5; limit_conn_dry_run on; limit_conn_log_level notice; return dry; }
  server { listen 127.0.0.1:%%PORT_2%%; set $key ''; limit_conn named 1; proxy_pass ${to}; }
  limit_conn_zone $binary_remote_addr zone=binary:64k;
  server { listen unix:%%DIR%%/own.sock; limit_conn binary 1; proxy_pass ${to}; }
  server { listen 127.0.0.1:%%PORT_3%%; set $key $remote_addr; limit_conn named 1; deny 127.0.0.2; proxy_pass ${to}; }
}
`,
})

/** Stays connected as long as it may. @returns what it heard first, '' when it was turned away */
async function client(i: number, localAddress = '127.0.0.1'): Promise<{ socket: net.Socket; heard: string }> {
  const socket = net.connect({ port: server.ports[i]!, host: '127.0.0.1', localAddress })
  atEnd(scope, () => void socket.destroy())
  socket.on('error', () => {})
  let heard = ''
  socket.on('data', chunk => (heard += chunk.toString()))
  await Promise.race([once(socket, 'data'), once(socket, 'close')])
  return { socket, heard }
}

const log = (): string => readFileSync(join(server.dir, 'access.log'), 'latin1')

test('as many as may be, exactly, whatever threads they are on, and again when they have gone', async () => {
  for (let round = 0; round < 3; round++) {
    const clients = await Promise.all(Array.from({ length: 20 }, () => client(0)))
    const served = clients.filter(({ heard }) => heard === 'hello')
    assert.equal(served.length, 5)
    // Other keys are counted for themselves.
    assert.equal((await client(0, '127.0.0.2')).heard, 'hello')
    assert.equal((await client(1)).heard, 'dry')
    for (const { socket } of served) socket.destroy()
    const logged = new RegExp(`^${server.ports[0]} 127.0.0.1 200 PASSED$`, 'gm')
    await eventually(() => log().match(logged)?.length === 5 * (round + 1))
  }
  const refused = new RegExp(`^${server.ports[0]} 127.0.0.1 503 REJECTED$`, 'gm')
  await eventually(() => log().match(refused)?.length === 45)
  await eventually(() => log().includes(`${server.ports[1]} 127.0.0.1 200 REJECTED_DRY_RUN`))
  const errors = server.errorLog()
  const where = `while initializing session, client: 127.0.0.1, server: 127.0.0.1:${server.ports[0]}`
  assert.ok(errors.includes(`limiting connections by zone "one" ${where}`))
  assert.match(errors, /\[notice\] .* limiting connections, dry run, by zone "one" while initializing session, /)
})

test('what has no key is not counted, and variables that are set may be the key', async () => {
  for (let i = 0; i < 3; i++) assert.equal((await client(2)).heard, 'hello')
  const first = await client(3)
  assert.equal(first.heard, 'hello')
  assert.equal((await client(3)).heard, '')
  first.socket.destroy()
  await eventually(async () => (await client(3)).heard === 'hello')
})

test('the limit is looked at before the rules, which take their place back', async () => {
  for (let i = 0; i < 3; i++) assert.equal((await client(3, '127.0.0.2')).heard, '')
  await eventually(() => log().match(new RegExp(`^${server.ports[3]} 127.0.0.2 403 PASSED$`, 'gm'))?.length === 3)
})

test('a zone is one block’s alone', async () => {
  const zone = 'limit_conn_zone $remote_addr zone=one:64k;'
  await assert.rejects(
    serve(scope, { conf: `http { ${zone} }\nstream { ${zone} }\n` }),
    /the shared memory zone "one" is already declared for a different use/,
  )
})

test('clients on a Unix socket are one, and are counted', async () => {
  const heard = async (): Promise<string> => {
    const socket = net.connect(join(server.dir, 'own.sock'))
    atEnd(scope, () => void socket.destroy())
    socket.on('error', () => {})
    let text = ''
    socket.on('data', chunk => (text += chunk.toString()))
    await Promise.race([once(socket, 'data'), once(socket, 'close')])
    return text
  }
  assert.deepEqual([await heard(), await heard()], ['hello', ''])
})
