import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { certificate } from '../../helpers/certificates.ts'
import { check } from '../../helpers/check.ts'
import { eventually, get, PORTICO, raw, serve, tempDir, type Server } from '../../helpers/index.ts'
import { needs } from '../../helpers/needs.ts'

const run = promisify(execFile)

interface Answer {
  readonly text: string
  readonly socket: tls.TLSSocket
  /** Did the other side say that this was the end? */
  readonly ended: boolean
}

/** One request on a connection of its own, read to its end. */
function ask(port: number, path: string, options: tls.ConnectionOptions & { host?: string } = {}): Promise<Answer> {
  const { host = 'localhost', ...rest } = options
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...rest }, () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    })
    let text = ''
    let ended = false
    socket.on('data', bytes => (text += bytes.toString('latin1')))
    socket.on('end', () => (ended = true))
    socket.on('error', reject)
    socket.on('close', () => resolve({ text, socket, ended }))
  })
}

function pem(dir: string, name: string): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(join(dir, `${name}.crt`)), key: readFileSync(join(dir, `${name}.key`)) }
}

async function secure(t: TestContext, http: string, make: (dir: string) => void): Promise<Server> {
  const dir = tempDir(t)
  make(dir)
  return serve(t, { dir, conf: `worker_processes 2; http { ${http} }` })
}

test('curl and openssl s_client are served', async t => {
  if (!needs(t, 'openssl')) return
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key;
      location / { return 200 "$scheme $https $ssl_protocol $ssl_server_name"; }
      location = /to { return 301 /there; } location /big { root %%DIR%%; } }`,
    dir => {
      certificate(dir, 'a')
      writeFileSync(join(dir, 'big'), Buffer.alloc(3_000_000, 'portico '))
    },
  )
  const [port] = server.ports as [number]
  const url = `https://localhost:${port}`
  assert.equal((await run('curl', ['-sk', `${url}/`])).stdout, 'https on TLSv1.3 localhost')
  assert.match((await run('curl', ['-skI', `${url}/to`])).stdout, new RegExp(`Location: ${url}/there`))
  const { stdout } = await run('curl', ['-sk', `${url}/big`], { maxBuffer: 1e7 })
  assert.equal(stdout, 'portico '.repeat(375_000))
  const client = run('openssl', ['s_client', '-quiet', '-tls1_2', '-connect', `127.0.0.1:${port}`])
  client.child.stdin!.end('GET / HTTP/1.0\r\n\r\n')
  assert.match((await client).stdout, /https on TLSv1\.2 $/)
})

test('an answer without a length ends with close_notify, and requests may follow each other', async t => {
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key; return 200 "$connection_requests"; }`,
    dir => certificate(dir, 'a', { ec: true }),
  )
  const [port] = server.ports as [number]
  assert.equal((await ask(port, '/')).ended, true)
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  let text = ''
  await new Promise<void>(resolve => {
    socket.on('data', bytes => {
      text += bytes.toString()
      if (text.endsWith('\r\n\r\n100')) resolve()
    })
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(100))
  })
  socket.destroy()
  assert.equal(text.match(/200 OK/g)!.length, 100)
})

test('the name a client asks for chooses certificate, protocols and refusal', async t => {
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl default_server; server_name one; ssl_certificate one.crt; ssl_certificate_key one.key;
       ssl_protocols TLSv1.2; return 200 "$server_name $ssl_protocol"; }
     server { listen %%PORT_0%%; server_name *.two; ssl_certificate two.crt; ssl_certificate_key two.key;
       ssl_protocols TLSv1.3; return 200 "$server_name $ssl_protocol"; }
     server { listen %%PORT_0%%; server_name three; ssl_reject_handshake on; }`,
    dir => ['one', 'two'].forEach(name => certificate(dir, name)),
  )
  const [port] = server.ports as [number]
  const one = await ask(port, '/', { servername: 'other', host: 'one' })
  assert.match(one.text, /one TLSv1\.2$/)
  const two = await ask(port, '/', { servername: 'WWW.two', host: 'www.two' })
  assert.match(two.text, /\*\.two TLSv1\.3$/)
  await assert.rejects(ask(port, '/', { servername: 'three' }), /unrecognized name/)
})

test('with RSA and EC certificates a client gets the kind it can use', async t => {
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl; ssl_certificate r.crt; ssl_certificate_key r.key; ssl_certificate e.crt;
       ssl_certificate_key e.key; return 200 $ssl_cipher; }`,
    dir => {
      certificate(dir, 'r')
      certificate(dir, 'e', { ec: true })
    },
  )
  const [port] = server.ports as [number]
  for (const kind of ['RSA', 'ECDSA']) {
    const options = { maxVersion: 'TLSv1.2', ciphers: `ECDHE-${kind}-AES128-GCM-SHA256` } as const
    assert.match((await ask(port, '/', options)).text, new RegExp(`ECDHE-${kind}-AES128-GCM-SHA256$`))
  }
})

test('sessions are resumed in every thread, and after a reload', async t => {
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key; ssl_session_cache shared:S:1m;
      return 200 "$ssl_session_reused $ssl_session_id"; }`,
    dir => certificate(dir, 'a'),
  )
  const [port] = server.ports as [number]
  let session: Buffer | undefined
  const first = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  first.on('session', given => (session = given))
  first.on('secureConnect', () => first.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))
  first.resume()
  await new Promise(resolve => first.on('close', resolve))
  const resumed = async (): Promise<void> => {
    const { text } = await ask(port, '/', { session: session! })
    assert.match(text, /\r\n\r\nr [0-9a-f]{64}$/)
  }
  for (let i = 0; i < 8; i++) await resumed()
  await server.reload()
  await resumed()
  assert.match((await ask(port, '/')).text, /\r\n\r\n\. /)
})

test('clients’ certificates are asked for, judged and shown', async t => {
  const server = await secure(
    t,
    `ssl_certificate a.crt; ssl_certificate_key a.key; ssl_client_certificate ca.crt;
     server { listen %%PORT_0%% ssl; server_name on; ssl_verify_client on; ssl_verify_depth 0;
       location / { return 200 "$ssl_client_verify|$ssl_client_s_dn|$ssl_client_s_dn_legacy|$ssl_client_i_dn|$ssl_client_serial"; }
       error_page 496 = /none; location = /none { return 200 "none: $ssl_client_verify"; } }
     server { listen %%PORT_0%% ssl; server_name optional; ssl_verify_client optional; return 200 "$ssl_client_verify"; }
     server { listen %%PORT_0%% ssl; server_name no-ca; ssl_verify_client optional_no_ca; return 200 "$ssl_client_verify"; }`,
    dir => {
      certificate(dir, 'a')
      certificate(dir, 'ca')
      certificate(dir, 'good', { issuer: 'ca', subject: '/O=A, B/CN=Zoë' })
      certificate(dir, 'deep', { issuer: 'good' })
      certificate(dir, 'bad')
    },
  )
  const { dir } = server
  const [port] = server.ports as [number]
  const judged = async (name: string, with_?: string): Promise<string> => {
    const { text } = await ask(port, '/', {
      servername: name,
      host: name,
      ...(with_ === undefined ? {} : pem(dir, with_)),
    })
    return text.replace(/^.*\r\n\r\n/s, '')
  }
  assert.match(
    await judged('on', 'good'),
    /^SUCCESS\|CN=Zo\\C3\\AB,O=A\\, B\|\/O=A, B\/CN=Zo\\xC3\\xAB\|CN=ca\|[0-9A-F]+$/,
  )
  assert.equal(await judged('on'), 'none: NONE')
  assert.match(await judged('on', 'bad'), /The SSL certificate error/)
  assert.equal(await judged('optional'), 'NONE')
  assert.match(await judged('optional', 'bad'), /The SSL certificate error/)
  assert.equal(await judged('no-ca', 'bad'), 'FAILED:self-signed certificate')
  const chain = Buffer.concat([readFileSync(join(dir, 'deep.crt')), readFileSync(join(dir, 'good.crt'))])
  const deep = await ask(port, '/', {
    servername: 'on',
    host: 'on',
    cert: chain,
    key: readFileSync(join(dir, 'deep.key')),
  })
  assert.match(deep.text, /The SSL certificate error/)
  const other = await ask(port, '/', { servername: 'optional', host: 'on', ...pem(dir, 'good') })
  assert.match(other.text, /^HTTP\/1\.1 421 /)
})

test('a name is told as the client spells it, and found without its last dot; who names no host gets the default', async t => {
  const server = await secure(
    t,
    `ssl_certificate a.crt; ssl_certificate_key a.key; ssl_client_certificate a.crt;
     server { listen %%PORT_0%% ssl; server_name first; return 200 "first $ssl_server_name"; }
     server { listen %%PORT_0%% ssl; server_name second; return 200 "second $ssl_server_name $status"; }
     server { listen %%PORT_0%% ssl; server_name closed; ssl_verify_client on; return 200 "closed"; }
     server { listen %%PORT_1%% ssl; server_name only; ssl_verify_client optional; return 200 only; }`,
    dir => certificate(dir, 'a'),
  )
  const [port] = server.ports as [number]
  const answer = (servername: string, request: string, to = port): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = tls.connect({ port: to, host: '127.0.0.1', servername, rejectUnauthorized: false })
      let text = ''
      socket.on('data', bytes => (text += bytes.toString('latin1')))
      socket.on('error', reject)
      socket.on('close', () => resolve(text.replace(/^HTTP\/1\.1 (\d+).*\r\n\r\n/s, '$1 ')))
      socket.write(request)
    })
  const named = (servername: string, host: string, to = port): Promise<string> =>
    answer(servername, `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`, to)
  assert.equal(await named('SeCond', 'second'), '200 second SeCond 200')
  assert.equal(await named('second.', 'second'), '200 second second. 200')
  assert.match(await named('closed.', 'closed'), /^400 .*No required SSL certificate was sent/s)
  assert.match(await named('second', 'closed'), /^421 /)
  assert.equal(await answer('closed', 'GET / HTTP/1.0\r\n\r\n'), '200 first closed')
  // Names matter to servers that ask for certificates, unless there is but one.
  assert.match(await named('closed', 'second'), /^200 second closed/)
  assert.equal(await named('only', 'another', server.ports[1]), '200 only')
})

test('plain text on a TLS port is answered, nonsense is logged, silence is timed out', async t => {
  const server = await secure(
    t,
    `client_header_timeout 2s; server { listen %%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key; }`,
    dir => certificate(dir, 'a'),
  )
  const [port] = server.ports as [number]
  const plain = await get(port)
  assert.equal(plain.status, 400)
  assert.match(plain.text, /The plain HTTP request was sent to HTTPS port/)
  const nonsense = await raw(t, port)
  await nonsense.send(Buffer.from('160301000401000000', 'hex'))
  await eventually(() => nonsense.ended)
  const failed = /\[info\].* SSL_do_handshake\(\) failed \(SSL: error:.* while SSL handshaking, client: 127\.0\.0\.1/
  await eventually(() => failed.test(server.errorLog()))
  const gone = net.connect(port, '127.0.0.1', () => gone.end())
  const half = net.connect(port, '127.0.0.1', () => half.end(Buffer.from('1603010200010001', 'hex')))
  const long = await raw(t, port)
  await long.send(Buffer.from('160301ffff010000', 'hex'))
  // A fatal alert, record_overflow.
  await long.until('\x02\x16')
  const silent = net.connect(port, '127.0.0.1')
  await new Promise(resolve => silent.on('close', resolve))
  const where = 'while SSL handshaking, client: 127.0.0.1, server: '
  for (const what of [
    'client closed connection',
    'peer closed connection in SSL handshake',
    'client timed out (110: Connection timed out)',
  ]) {
    await eventually(() => server.errorLog().includes(`${what} ${where}`))
  }
})

test('keys are read by the master, passwords and all, and named when they are wrong', async t => {
  const server = await secure(
    t,
    `ssl_password_file words; server { listen %%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key; return 200 ok; }`,
    dir => {
      certificate(dir, 'a', { password: 'secret' })
      writeFileSync(join(dir, 'words'), 'wrong\r\nsecret\n')
      chmodSync(join(dir, 'a.key'), 0o600)
    },
  )
  assert.match((await ask(server.ports[0]!, '/')).text, /ok$/)
  const { dir } = server
  certificate(dir, 'b')
  const refusal = (http: string): string => {
    writeFileSync(join(dir, 'x.conf'), `events {} http { ${http} }`)
    const { stderr } = check(dir, 'x.conf')
    return /\[emerg\] (?:\d+#\d+: )?(.*)/.exec(stderr)?.[1] ?? stderr
  }
  const pair = (crt: string, key: string): string =>
    `server { listen 127.0.0.1:8888 ssl; ssl_certificate ${crt}; ssl_certificate_key ${key}; }`
  assert.equal(
    refusal(pair('no.crt', 'b.key')),
    `cannot load certificate "${dir}/no.crt": BIO_new_file() failed (SSL: error:80000002:system library::No such file or ` +
      `directory:calling fopen(${dir}/no.crt, r) error:10000080:BIO routines::no such file)`,
  )
  assert.equal(
    refusal(pair('a.crt', 'b.key')),
    `SSL_CTX_use_PrivateKey("${dir}/b.key") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)`,
  )
  assert.match(
    refusal(pair('a.crt', 'a.key')),
    /^cannot load certificate key ".*a\.key": PEM_read_bio_PrivateKey\(\) failed/,
  )
  assert.equal(
    refusal('server { listen 127.0.0.1:8888 ssl; }'),
    `no "ssl_certificate" is defined for the "listen ... ssl" directive in ${dir}/x.conf:1`,
  )
  assert.equal(
    refusal('server { listen 127.0.0.1:8888; ssl_certificate b.crt; }'),
    `no "ssl_certificate_key" is defined for certificate "${dir}/b.crt"`,
  )
  assert.match(refusal(`ssl_ciphers XX; ${pair('b.crt', 'b.key')}`), /^SSL_CTX_set_cipher_list\("XX"\) failed/)
  assert.match(refusal(`ssl_ecdh_curve foo; ${pair('b.crt', 'b.key')}`), /^SSL_CTX_set1_curves_list\("foo"\) failed/)
  assert.match(refusal('ssl_session_cache foo;'), /^invalid session cache "foo" in /)
  assert.match(
    refusal(`ssl_password_file none; ${pair('b.crt', 'b.key')}`),
    /^open\(\) ".*\/none" failed \(2: No such file or directory\) in .*x\.conf:1$/,
  )
  const { stdout } = await run(PORTICO, ['-T', '-p', dir, '-c', 'nginx.conf']).catch(
    (error: { stdout: string }) => error,
  )
  assert.doesNotMatch(stdout, /PRIVATE KEY/)
})

test('certificates that variables name are looked for when a client comes', async t => {
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl; ssl_certificate %%DIR%%/$ssl_server_name.crt; ssl_certificate_key %%DIR%%/$ssl_server_name.key;
      ssl_password_file words; return 200 $ssl_server_name; }`,
    dir => {
      certificate(dir, 'one', { password: 'secret' })
      writeFileSync(join(dir, 'words'), 'secret\n')
    },
  )
  const [port] = server.ports as [number]
  assert.match((await ask(port, '/', { servername: 'one' })).text, /one$/)
  await assert.rejects(ask(port, '/', { servername: 'two' }), /internal error/)
  const missing = /cannot load certificate ".*two\.crt": BIO_new_file\(\) failed .* while SSL handshaking/
  await eventually(() => missing.test(server.errorLog()))
  certificate(server.dir, 'two')
  assert.match((await ask(port, '/', { servername: 'two' })).text, /two$/)
  // There is such a file, but no host of that name.
  await assert.rejects(ask(port, '/', { servername: './two' }), /internal error/)
})

test('a connection can be taken over by another protocol, and one that stalls is reset', async t => {
  const upstream = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.pipe(socket)
    })
  })
  await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
  t.after(() => upstream.close())
  const { port: behind } = upstream.address() as net.AddressInfo
  const server = await secure(
    t,
    `send_timeout 500ms; reset_timedout_connection on;
     server { listen %%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key; location /big { root %%DIR%%; }
      location /echo { proxy_pass http://127.0.0.1:${behind}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }`,
    dir => {
      certificate(dir, 'a')
      writeFileSync(join(dir, 'big'), Buffer.alloc(20_000_000))
    },
  )
  const [port] = server.ports as [number]
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  let text = ''
  await new Promise<void>(resolve => {
    socket.on('data', bytes => {
      text += bytes.toString('latin1')
      if (text.endsWith('\r\n\r\n')) socket.write('hello')
      else if (text.endsWith('hello')) resolve()
    })
    socket.write('GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
  })
  socket.destroy()
  assert.match(text, /^HTTP\/1\.1 101 /)
  const stalled = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  stalled.on('error', () => {})
  stalled.write('GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
  stalled.once('data', () => stalled.pause())
  await eventually(() => /client timed out .* while sending response to client/.test(server.errorLog()))
  stalled.destroy()
  assert.match((await ask(port, '/none')).text, /404 Not Found/)
})
