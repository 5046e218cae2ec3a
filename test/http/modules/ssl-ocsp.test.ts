import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { answerTo, dnsServer, ipv4, record } from '../../helpers/dns.ts'
import { eventually, freePort, serve, tempDir } from '../../helpers/index.ts'
import { needs } from '../../helpers/needs.ts'

const run = promisify(execFile)

interface Ca {
  readonly dir: string
  readonly responder: number
}

function openssl(dir: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
}

/** An authority with its database, and a real responder that answers from it. */
async function authority(t: TestContext, revoked: readonly string[], ...names: string[]): Promise<Ca> {
  const dir = tempDir(t)
  const responder = await freePort()
  writeFileSync(
    join(dir, 'ca.conf'),
    `[ca]\ndefault_ca=my\n[my]\nnew_certs_dir=${dir}\ndatabase=${dir}/index\ndefault_md=sha256\npolicy=any\nserial=${dir}/serial
default_days=2\nx509_extensions=leaf\n[any]\ncommonName=supplied\n[leaf]\nbasicConstraints=CA:FALSE
authorityInfoAccess=OCSP;URI:http://127.0.0.1:${responder}\n`,
  )
  writeFileSync(join(dir, 'index'), '')
  writeFileSync(join(dir, 'serial'), '1000')
  openssl(
    dir,
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=ca',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
  )
  for (const name of names) {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`]
    openssl(dir, 'req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, ...files)
    const signer = ['-keyfile', 'ca.key', '-cert', 'ca.crt']
    openssl(dir, 'ca', '-batch', '-config', 'ca.conf', ...signer, '-in', `${name}.csr`, '-out', `${name}.crt`)
  }
  for (const name of revoked) {
    openssl(dir, 'ca', '-config', 'ca.conf', '-keyfile', 'ca.key', '-cert', 'ca.crt', '-revoke', `${name}.crt`)
  }
  const keys = ['-index', 'index', '-CA', 'ca.crt', '-rsigner', 'ca.crt', '-rkey', 'ca.key', '-ndays', '1']
  const child = spawn('openssl', ['ocsp', '-port', `${responder}`, ...keys], { cwd: dir, stdio: 'pipe' })
  t.after(() => child.kill('SIGKILL'))
  // It is not asked whether it is there: a connection without a request confuses it.
  await new Promise<void>(resolve => {
    const look = (text: Buffer): void => {
      if (text.includes('waiting for')) resolve()
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
  })
  return { dir, responder }
}

/** What is stapled; null: nothing. */
function stapled(port: number): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, requestOCSP: true })
    let staple: Buffer | null = null
    socket.on('OCSPResponse', (response: Buffer) => (staple = response))
    socket.on('secureConnect', () => {
      resolve(staple !== null && staple.length > 0 ? staple : null)
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

function ask(port: number, options: tls.ConnectionOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let text = ''
    socket.on('data', bytes => (text += bytes.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  })
}

test('a responder’s word is stapled once it is known, and one from a file at once', async t => {
  if (!needs(t, 'openssl')) return
  const { dir, responder } = await authority(t, [], 'server')
  const url = ['-url', `http://127.0.0.1:${responder}`]
  const question = ['ocsp', '-issuer', 'ca.crt', '-cert', 'server.crt', ...url, '-respout', 'answer', '-noverify']
  await run('openssl', question, { cwd: dir })
  const server = (port: number, more: string): string =>
    `server { listen %%PORT_${port}%% ssl; ssl_certificate server.crt; ssl_certificate_key server.key; ssl_stapling on; ${more} }`
  const trusted = 'ssl_trusted_certificate ca.crt;'
  const page = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('hello'))
  await new Promise<void>(resolve => page.listen(0, '127.0.0.1', resolve))
  t.after(() => page.close())
  const { port: pagePort } = page.address() as AddressInfo
  const running = await serve(t, {
    dir,
    conf: `http { ${server(0, `${trusted} ssl_stapling_verify on;`)} ${server(1, 'ssl_stapling_file answer;')}
      ${server(2, `${trusted} ssl_stapling_responder http://127.0.0.1:1/;`)} ${server(3, '')}
      ${server(4, `${trusted} ssl_stapling_responder http://127.0.0.1:${pagePort}/;`)} }`,
  })
  const [asked, fromFile, wrong, unknown] = running.ports as [number, number, number, number]
  assert.deepEqual(await stapled(fromFile), readFileSync(join(dir, 'answer')))
  assert.equal(await stapled(asked), null)
  await eventually(async () => (await stapled(asked)) !== null)
  assert.equal(await stapled(wrong), null)
  const refused = 'recv() failed (111: Connection refused) while requesting certificate status'
  const about = ', responder: 127.0.0.1, peer: 127.0.0.1:1, certificate: "'
  await eventually(() => running.errorLog().includes(`${refused}${about}`))
  assert.equal(await stapled(running.ports[4]!), null)
  const wrongType = 'OCSP responder sent invalid "Content-Type" header: "text/html" while requesting certificate status'
  await eventually(() => running.errorLog().includes(wrongType))
  assert.equal(await stapled(unknown), null)
  assert.match(running.errorLog(), /\[warn\].*"ssl_stapling" ignored, issuer certificate not found for certificate/)
})

test('of a responder with several addresses the next one is asked when one has no answer', async t => {
  if (!needs(t, 'openssl')) return
  const { dir, responder } = await authority(t, [], 'server')
  const url = ['-url', `http://127.0.0.1:${responder}`]
  const question = ['ocsp', '-issuer', 'ca.crt', '-cert', 'server.crt', ...url, '-respout', 'answer', '-noverify']
  await run('openssl', question, { cwd: dir })
  const asked: string[] = []
  // On one port of many addresses: one that answers, one whose answer is of no use, and others at which there is nobody.
  const answer = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    asked.push(socket.localAddress!)
    if (socket.localAddress === '127.0.0.2') response.setHeader('Content-Type', 'text/html').end('hello')
    else response.setHeader('Content-Type', 'application/ocsp-response').end(readFileSync(join(dir, 'answer')))
  }
  let port = 0
  for (const address of ['127.0.0.1', '127.0.0.2']) {
    const page = createServer(answer)
    await new Promise<void>(resolve => page.listen(port, address, resolve))
    t.after(() => page.close())
    port = (page.address() as AddressInfo).port
  }
  const addresses = ['127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6', '127.0.0.2', '127.0.0.1']
  const names = await dnsServer(t, ({ bytes }) =>
    answerTo(
      bytes,
      addresses.map(address => record(1, 60, ipv4(address))),
    ),
  )
  const running = await serve(t, {
    dir,
    conf: `http { resolver 127.0.0.1:${names.port} ipv6=off;
      server { listen %%PORT_0%% ssl; ssl_certificate server.crt; ssl_certificate_key server.key; ssl_stapling on;
        ssl_trusted_certificate ca.crt; ssl_stapling_responder http://ocsp.test:${port}/; } }`,
  })
  await eventually(async () => (await stapled(running.port)) !== null)
  // With whom one begins is left to chance.
  assert.equal(asked.at(-1), '127.0.0.1')
  for (const address of asked.slice(0, -1)) assert.equal(address, '127.0.0.2')
})

test('clients whose certificates are revoked are refused, and the answers remembered', async t => {
  if (!needs(t, 'openssl')) return
  const { dir } = await authority(t, ['bad'], 'server', 'good', 'bad')
  const server = (port: number, more: string): string =>
    `server { listen %%PORT_${port}%% ssl; ssl_certificate server.crt; ssl_certificate_key server.key;
      ssl_verify_client on; ssl_client_certificate ca.crt; ssl_ocsp on; ${more} return 200 "$ssl_client_verify"; }`
  const running = await serve(t, {
    dir,
    conf: `worker_processes 2; http { ${server(0, 'ssl_ocsp_cache shared:O:64k;')}
      ${server(1, 'ssl_ocsp_responder http://127.0.0.1:1/;')} }`,
  })
  const [port, unreachable] = running.ports as [number, number]
  const as = (name: string): tls.ConnectionOptions => ({
    cert: readFileSync(join(dir, `${name}.crt`)),
    key: readFileSync(join(dir, `${name}.key`)),
  })
  for (let i = 0; i < 4; i++) {
    assert.match(await ask(port, as('good')), /200 OK[^]*SUCCESS$/)
    assert.match(await ask(port, as('bad')), /400 Bad Request[^]*The SSL certificate error/)
  }
  const revoked = /client SSL certificate verify error: certificate revoked while reading/
  await eventually(() => revoked.test(running.errorLog()))
  assert.match(await ask(unreachable, as('good')), /400 Bad Request[^]*The SSL certificate error/)
  await eventually(() => /verify error: certificate status request failed/.test(running.errorLog()))
})

/** One request; then the session that the server has given for later, whatever it has answered. */
function visit(
  port: number,
  options: tls.ConnectionOptions,
): Promise<{ answer: string; session: Buffer | null; reused: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let answer = ''
    let session: Buffer | null = null
    let reused = false
    socket.on('secureConnect', () => (reused = socket.isSessionReused()))
    socket.on('session', given => (session = given))
    socket.on('data', bytes => (answer += bytes.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve({ answer, session, reused }))
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  })
}

test('who resumes a session is asked about again', async t => {
  if (!needs(t, 'openssl')) return
  const { dir } = await authority(t, ['bad'], 'server', 'good', 'bad')
  const running = await serve(t, {
    dir,
    conf: `http { server { listen %%PORT_0%% ssl; ssl_certificate server.crt; ssl_certificate_key server.key;
      ssl_verify_client on; ssl_client_certificate ca.crt; ssl_ocsp on; return 200 "$ssl_client_verify $ssl_session_reused"; } }`,
  })
  const [port] = running.ports as [number]
  const as = (name: string): tls.ConnectionOptions => ({
    cert: readFileSync(join(dir, `${name}.crt`)),
    key: readFileSync(join(dir, `${name}.key`)),
  })
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const [name, answer] of [
      ['good', /SUCCESS r$/],
      ['bad', /400 Bad Request[^]*The SSL certificate error/],
    ] as const) {
      const first = await visit(port, { ...as(name), maxVersion })
      assert.ok(first.session !== null)
      const second = await visit(port, { ...as(name), maxVersion, session: first.session })
      assert.ok(second.reused)
      assert.match(second.answer, answer, `${name} ${maxVersion}`)
    }
  }
})

test('early data waits for what the authority says', async t => {
  if (!needs(t, 'openssl')) return
  const { dir } = await authority(t, ['bad'], 'server', 'good', 'bad')
  const running = await serve(t, {
    dir,
    conf: `http { server { listen %%PORT_0%% ssl; ssl_certificate server.crt; ssl_certificate_key server.key; ssl_early_data on;
      ssl_verify_client on; ssl_client_certificate ca.crt; ssl_ocsp on; return 200 "early=$ssl_early_data."; } }`,
  })
  const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  writeFileSync(join(dir, 'request'), request)
  const client = async (name: string, more: readonly string[], input: string): Promise<string> => {
    const address = ['-connect', `127.0.0.1:${running.ports[0]}`, '-tls1_3', '-ign_eof']
    const pair = ['-cert', `${name}.crt`, '-key', `${name}.key`]
    const child = run('openssl', ['s_client', ...address, ...pair, ...more], { cwd: dir })
    child.child.stdin!.end(input)
    return (await child).stdout
  }
  for (const [name, answer] of [
    ['good', /200 OK[^]*early=1?\./],
    ['bad', /400 Bad Request[^]*The SSL certificate error/],
  ] as const) {
    await client(name, ['-sess_out', 'session'], request)
    const early = await client(name, ['-sess_in', 'session', '-early_data', 'request'], '')
    assert.match(early, /Early data was accepted/)
    assert.match(early, answer)
  }
})
