import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { A } from '../../../src/codec/dns.ts'
import { answerTo, dnsServer, ipv4, record } from '../../helpers/dns.ts'
import { eventually, origin, raw, request, requestBytes, serve } from '../../helpers/index.ts'

const file = { after }
const dns = await dnsServer(file, ({ name, type, bytes }) => {
  if (name.startsWith('silent')) return null
  const found = name === 'back.example' && type === A
  return answerTo(bytes, found ? [record(A, 60, ipv4('127.0.0.1'))] : [], name === 'nx.example' ? 0x8183 : 0x8180)
})
const back = await origin(file)
const server = await serve(
  file,
  `http {
    resolver 127.0.0.1:${dns.port} valid=30s ipv6=off;
    resolver_timeout 2s;
    server {
      listen 127.0.0.1:%%PORT_0%%;
      add_header X-Upstream $upstream_addr always;
      location / { proxy_pass http://$arg_host:${back.port}; error_page 502 504 /failed; }
      location /failed { internal; return 200 "failed"; }
    }
    server {
      listen 127.0.0.1:%%PORT_1%%;
      location / { proxy_pass http://$arg_host; }
    }
  }`,
)

test('resolver: a name that variables make is looked up, once', async () => {
  for (const path of ['/a?host=back.example', '/b?host=BACK.example']) {
    const response = await request({ address: server.port, path, method: 'POST', body: 'payload' })
    assert.equal(response.body.toString(), 'hello')
    assert.equal(response.header('x-upstream'), `127.0.0.1:${back.port}`)
  }
  assert.equal(back.requests.at(-1)!.header('host'), `BACK.example:${back.port}`)
  assert.equal(dns.questions.filter(({ name }) => name === 'back.example').length, 1)
})

test('resolver: what there is not, and a server that does not answer, are bad gateways', async () => {
  assert.equal((await request({ address: server.port, path: '/?host=nx.example' })).body.toString(), 'failed')
  assert.equal((await request({ address: server.port, path: '/?host=silent.example' })).body.toString(), 'failed')
  await eventually(() => /nx\.example could not be resolved \(3: Host not found\)/.test(server.errorLog()))
  await eventually(() => /silent\.example could not be resolved \(110: Operation timed out\)/.test(server.errorLog()))
})

test('resolver: a client that leaves while its name is looked up leaves nothing behind', async t => {
  const client = await raw(t, server.port)
  client.socket.write(requestBytes({ path: '/?host=silent2.example' }))
  await eventually(() => dns.questions.some(({ name }) => name === 'silent2.example'))
  client.destroy()
  assert.equal((await request({ address: server.port, path: '/?host=back.example' })).status, 200)
  assert.doesNotMatch(server.errorLog(), /silent2\.example could not be resolved/)
})
