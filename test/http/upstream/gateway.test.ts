// What FastCGI, uwsgi and SCGI servers answer, made up byte by byte, and what clients and logs see of it.

import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { ConfigError } from '../../../src/config/errors.ts'
import { serveHttp } from '../../helpers/http.ts'
import { atEnd, eventually, get, raw, request } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'

const record = (type: number, text: string): string =>
  String.fromCharCode(1, type, 0, 1, text.length >> 8, text.length & 255, 0, 0) + text
const STDOUT = 6
const STDERR = 7
const END = record(STDOUT, '') + record(3, '\0\0\0\0\0\0\0\0')
const HEAD = 'Content-Type: text/plain\r\n\r\n'

/** Answers every connection's requests with the same bytes; `closes` behind the first. */
async function peer(t: Scope, answer: string, closes = true): Promise<{ address: string; connections: () => number }> {
  let connections = 0
  const server = net.createServer(socket => {
    connections++
    socket.on('error', () => {})
    socket.on('data', () => {
      socket.write(answer, 'latin1')
      if (closes) socket.end()
    })
    atEnd(t, () => socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => server.close())
  const { port } = server.address() as net.AddressInfo
  return { address: `127.0.0.1:${port}`, connections: () => connections }
}

const folders = { files: { 'fastcgi_temp/x': '', 'uwsgi_temp/x': '', 'scgi_temp/x': '' } }

async function fastcgi(t: Scope, answer: string, conf = '', more = '') {
  const { address } = await peer(t, answer)
  return serveHttp(t, `${more} location / { ${conf} fastcgi_pass ${address}; }`, '', folders)
}

async function scgi(t: Scope, answer: string, conf = '', more = '') {
  const { address } = await peer(t, answer)
  return serveHttp(t, `${more} location / { ${conf} scgi_pass ${address}; }`, '', folders)
}

test('a status line among the fields is passed over, wherever the bytes are cut', async t => {
  const cgi = await scgi(t, `HTTP/2.0 200 OK\r\nX: a\r\nHTTP/1.1 404 Lost\r\nY: b\r\n\r\nbody`)
  const seen = await get(cgi.port, '/')
  assert.deepEqual([seen.status, seen.header('x'), seen.header('y'), seen.text], [200, 'a', 'b', 'body'])
  const text = `HTTP/1.1 404 Lost\r\n${HEAD}body`
  const records = Array.from(text, c => record(STDOUT, c)).join('')
  const split = await get((await fastcgi(t, records + END)).port, '/')
  assert.deepEqual([split.status, split.text], [200, 'body'])
})

test('a field that can be there once is told where it comes again, though the client sees neither', async t => {
  const server = await scgi(
    t,
    'Status: 203 One\r\nStatus: 500 Two\r\nX-Accel-Redirect: /a\r\nX-Accel-Redirect: /b\r\n\r\n',
    'scgi_ignore_headers X-Accel-Redirect;',
  )
  assert.equal((await get(server.port, '/')).reason, 'One')
  const log = server.errorLog()
  assert.match(log, /\[warn\] .*duplicate header line: "Status: 500 Two", previous value: "Status: 203 One", ignored/)
  assert.match(log, /duplicate header line: "X-Accel-Redirect: \/b", previous value: "X-Accel-Redirect: \/a", ignored/)
})

test('what a FastCGI server says behind the end of a request is nobody’s, and it is asked no more', async t => {
  const answer = record(STDOUT, `${HEAD}ok`) + END
  for (const [more, connections] of [
    ['', 1],
    [record(STDOUT, 'more'), 2],
  ] as const) {
    const { address, connections: count } = await peer(t, answer + more, false)
    const server = await serveHttp(
      t,
      'location / { fastcgi_pass kept; fastcgi_keep_conn on; }',
      `upstream kept { server ${address}; keepalive 1; }`,
      folders,
    )
    assert.equal((await get(server.port, '/')).text, 'ok')
    assert.equal((await get(server.port, '/')).text, 'ok')
    assert.equal(count(), connections)
    assert.doesNotMatch(server.errorLog(), /more data/)
  }
})

test('of a message on stderr at least one character is logged', async t => {
  const server = await fastcgi(t, `${record(STDERR, '.')}${record(STDERR, 'a. \r\n')}${record(STDOUT, HEAD)}${END}`)
  assert.equal((await get(server.port, '/')).status, 200)
  const said = [...server.errorLog().matchAll(/FastCGI sent in stderr: "([^"]*)"/g)]
  assert.deepEqual(
    said.map(([, message]) => message),
    ['.', 'a'],
  )
})

test('records cannot be switched to another protocol', async t => {
  const head = 'Status: 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'
  const server = await fastcgi(t, record(STDOUT, head) + END)
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
  await eventually(() => client.received.includes('\r\n\r\n'))
  assert.match(client.received.toString('latin1'), /^HTTP\/1\.1 502 /)
})

test('unbuffered, a short answer is found at the end of the request, not at that of the stream', async t => {
  const short = record(STDOUT, `Content-Length: 3\r\n${HEAD}ok`) + END
  for (const [buffering, what] of [
    ['on', 'stdout'],
    ['off', 'request'],
  ] as const) {
    const server = await fastcgi(t, short, `fastcgi_buffering ${buffering};`)
    await assert.rejects(get(server.port, '/'))
    await eventually(() => server.errorLog().includes(`upstream prematurely closed FastCGI ${what}`))
  }
})

test('a body behind 204 and 304 is told; 204 keeps its Content-Type', async t => {
  for (const status of ['204 No Content', '304 Not Modified']) {
    const server = await scgi(t, `Status: ${status}\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok`)
    const seen = await get(server.port, '/')
    assert.deepEqual([seen.status, seen.header('content-type'), seen.text], [Number(status.slice(0, 3)), 'a/b', ''])
    if (status.startsWith('204')) assert.equal(seen.header('content-length'), null)
    assert.match(
      server.errorLog(),
      /\[warn\] .*more data than specified in "Content-Length" header while reading upstream/,
    )
    const before = server.errorLog().length
    assert.equal((await request({ address: server.port, path: '/', method: 'HEAD' })).text, '')
    assert.doesNotMatch(server.errorLog().slice(before), /more data/)
  }
})

test('where the status line is ours to write, what is behind the head of a 204 or 304 is not looked at', async t => {
  for (const status of ['204', '304']) {
    const server = await scgi(t, `Status: ${status}\r\nContent-Type: a/b\r\n\r\nok`)
    const seen = await get(server.port, '/')
    assert.deepEqual([seen.status, seen.header('content-type')], [Number(status), status === '204' ? null : 'a/b'])
    assert.equal(seen.reason, status === '204' ? 'No Content' : 'Not Modified')
    assert.doesNotMatch(server.errorLog(), /more data/)
  }
})

test('an X-Accel-Redirect that leads nowhere is a 404, an empty one too, without the upstream’s Accept-Ranges', async t => {
  for (const to of ['', '/a/../b', '/a/%2e%2e/b', 'http://a/']) {
    const server = await scgi(t, `X-Accel-Redirect: ${to}\r\nAccept-Ranges: none\r\nSet-Cookie: a=b\r\n\r\n`)
    const seen = await get(server.port, '/')
    assert.deepEqual([seen.status, seen.header('accept-ranges'), seen.header('set-cookie')], [404, null, 'a=b'], to)
    assert.match(server.errorLog(), to === 'http://a/' ? /open\(\) |not found/ : /unsafe URI "(?:|\/a\/\.\.\/b)"/)
  }
})

test('max_ranges 0 goes for ranges that are forced, too', async t => {
  const whole = 'Accept-Ranges: bytes\r\nContent-Length: 4\r\n\r\nabcd'
  const ask = (port: number) => request({ address: port, path: '/', headers: { Range: 'bytes=1-2' } })
  const part = await ask((await scgi(t, whole, 'scgi_force_ranges on;')).port)
  assert.deepEqual([part.status, part.text], [206, 'bc'])
  const all = await ask((await scgi(t, whole, 'scgi_force_ranges on; max_ranges 0;')).port)
  assert.deepEqual([all.status, all.text, all.header('accept-ranges')], [200, 'abcd', null])
})

test('a stale response stands in for a FastCGI server that fails', async t => {
  const { address } = await peer(t, record(STDOUT, 'X-Accel-Expires: @1\r\n\r\nkept') + END)
  const server = await serveHttp(
    t,
    `location / {
       fastcgi_cache one; fastcgi_cache_key $uri; fastcgi_cache_use_stale error;
       fastcgi_next_upstream off; fastcgi_pass $arg_to;
     }`,
    'fastcgi_cache_path cache keys_zone=one:1m;',
    { files: { ...folders.files, 'cache/x': '' } },
  )
  assert.equal((await get(server.port, `/?to=${address}`)).text, 'kept')
  assert.equal((await get(server.port, '/?to=127.0.0.1:1')).text, 'kept')
})

test('a request for what was kept once has the conditions behind the host', async t => {
  const asked: string[] = []
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', chunk => {
      asked.push(chunk.toString('latin1').replaceAll('\0', '|'))
      socket.end('ETag: "a"\r\nX-Accel-Expires: @1\r\n\r\nkept')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => server.close())
  const { port } = server.address() as net.AddressInfo
  const cached = await serveHttp(
    t,
    `location / {
       scgi_cache one; scgi_cache_key $uri; scgi_cache_revalidate on; scgi_param A b;
       scgi_pass 127.0.0.1:${port}; scgi_pass_request_headers off;
     }`,
    'scgi_cache_path cache keys_zone=one:1m;',
    { files: { ...folders.files, 'cache/x': '' } },
  )
  for (let i = 0; i < 2; i++) assert.equal((await get(cached.port, '/')).text, 'kept')
  assert.match(asked[0]!, /:CONTENT_LENGTH\|0\|A\|b\|HTTP_HOST\|localhost\|,$/)
  assert.match(asked[1]!, /:CONTENT_LENGTH\|0\|A\|b\|HTTP_HOST\|localhost\|HTTP_IF_NONE_MATCH\|"a"\|,$/)
})

test('suwsgi:// stands in the log for uwsgi over TLS', async t => {
  const { address } = await peer(t, 'no TLS')
  const server = await serveHttp(
    t,
    `location /fixed { uwsgi_pass suwsgi://${address}; }
     location / { set $to suwsgi://${address}; uwsgi_pass $to; }`,
    '',
    folders,
  )
  for (const path of ['/fixed', '/']) assert.equal((await get(server.port, path)).status, 502)
  assert.equal(server.errorLog().match(new RegExp(`upstream: "suwsgi://${address}"`, 'g'))?.length, 2)
})

test('mistakes in a configuration are told as nginx tells them', async t => {
  const refused = async (conf: string, problem: RegExp): Promise<void> => {
    await assert.rejects(serveHttp(t, conf, '', folders), problem, conf)
  }
  for (const name of ['fastcgi', 'uwsgi', 'scgi']) {
    const pass = `${name}_pass 127.0.0.1:1;`
    const inside = (line: string): string => `location / { ${line} ${pass} }`
    await refused(
      `location / { limit_except GET { ${pass} } }`,
      new RegExp(`"${name}_pass" directive is not allowed here`),
    )
    await refused(inside(`${name}_next_upstream http_502;`), /invalid value "http_502"/)
    await refused(inside(`${name}_cache_use_stale http_504;`), /invalid value "http_504"/)
    await refused(inside(`${name}_bind 127.0.0.1:0;`), /invalid address "127.0.0.1:0"/)
    await refused(inside(`${name}_limit_rate x;`), new RegExp(`"${name}_limit_rate" directive invalid value`))
    await refused(inside(`${name}_store "";`), /empty path/)
    await refused(inside(`${name}_temp_path x 0;`), new RegExp(`"${name}_temp_path" directive invalid value`))
    await assert.rejects(
      serveHttp(t, inside(''), `${name}_temp_file_write_size 1;`, folders),
      (error: unknown) => error instanceof ConfigError && /_size" must be equal to or greater/.test(error.message),
    )
    await serveHttp(
      t,
      inside(`${name}_cache_use_stale non_idempotent; ${name}_temp_path fastcgi_temp 10;`),
      '',
      folders,
    )
  }
  await refused('location / { scgi_pass no.such.invalid:1; }', /host not found in upstream "no\.such\.invalid"/)
  await refused('location / { grpc_next_upstream updating; grpc_pass 127.0.0.1:1; }', /invalid value "updating"/)
  await serveHttp(
    t,
    `grpc_socket_rcvbuf 4k; grpc_socket_sndbuf 4k;
     fastcgi_split_path_info (a)(b); fastcgi_split_path_info (c)(d);`,
  )
})
