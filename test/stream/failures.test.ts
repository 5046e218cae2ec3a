// What the logs say of sessions that come to nothing, and where they say it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { answerTo, dnsServer } from '../helpers/dns.ts'
import { eventually, fileScope, serve, tempDir } from '../helpers/index.ts'

const scope = fileScope()
const NO_NAME = 0x8183
const dns = await dnsServer(scope, ({ bytes }) => answerTo(bytes, [], NO_NAME))
const dir = tempDir(scope)
const server = await serve(scope, {
  dir,
  conf: `
error_log error.log info;
events { }
stream {
  log_format line '$server_port $status $upstream_addr';
  access_log sessions-$protocol.log line;
  map $server_port $host { default none.example; }
  server { listen 127.0.0.1:%%PORT_0%%; resolver 127.0.0.1:${dns.port}; proxy_pass $host:1; }
  server { listen 127.0.0.1:%%PORT_1%%; proxy_pass unix:${dir}/nobody.sock; }
  server { listen 127.0.0.1:%%PORT_2%%; return x; access_log none/$protocol.log line; }
}
`,
})

async function meet(i: number): Promise<void> {
  const socket = net.connect(server.ports[i]!, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'close')
}

const log = (name: string): string => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'latin1') : '')

test('a log whose name has variables is written, and a name that nobody has is an error of ours', async () => {
  await meet(0)
  await eventually(() => log('sessions-TCP.log') === `${server.ports[0]} 500 -\n`)
  assert.match(log('error.log'), /\[error\] .* none\.example could not be resolved \(3: Host not found\)/)
})

test('that a Unix socket is not there is worth more than that a server is not', async () => {
  await meet(1)
  const missing =
    /\[crit\] .* connect\(\) to unix:\S+nobody\.sock failed \(2: No such file or directory\) while connecting/
  await eventually(() => missing.test(log('error.log')))
})

test('a log that cannot be opened costs the session nothing', async () => {
  await meet(2)
  await eventually(() => /\[crit\] .* open\(\) "\S+none\/TCP\.log" failed \(2: No such file/.test(log('error.log')))
  await meet(2)
  assert.doesNotMatch(log('error.log'), /\[alert\]/)
})
