import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { atEnd, eventually, request, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const received: string[] = []
const syslog = dgram.createSocket('udp4', bytes => void received.push(bytes.toString('latin1')))
atEnd(file, () => new Promise<void>(resolve => syslog.close(() => resolve())))
syslog.bind(0, '127.0.0.1')
await once(syslog, 'listening')
const where = `server=127.0.0.1:${syslog.address().port}`

const server: Server = await serve(file, {
  files: { 'html/x': 'x', 'dir/x': '' },
  conf: `
    http {
      root html;
      log_format line "$uri $arg_n";
      server {
        listen 127.0.0.1:%%PORT_0%%;
        location /syslog { access_log syslog:${where},facility=local0,severity=debug,tag=me,nohostname line; return 200; }
        location /errors { error_log syslog:${where} warn; error_log own.log notice; try_files /none =404; alias missing; }
        location /gzip { access_log packed.log line gzip=9 flush=100ms; return 200; }
        location /path { access_log dir/by_$arg_n line; return 200; }
        location /cached { open_log_file_cache max=2 min_uses=2; access_log dir/kept_$arg_n line; return 200; }
        location = /file { alias html/x; access_log dir/of_$arg_n line; }
        location /rootless { root missing; access_log dir/rootless_$arg_n line; return 200; }
        location /both { access_log both.log line; access_log both.log line buffer=1k flush=100ms; return 200; }
        location /level { limit_rate $arg_bad; error_log own.log error; return 200; }
      }
    }`,
})
const ask = (path: string): Promise<unknown> => request({ address: server.port, path })

test('access_log: to syslog, with its facility, severity and tag', async () => {
  await ask('/syslog?n=1')
  await eventually(() => received.some(line => /^<135>[A-Z][a-z]{2} [ \d]\d [\d:]{8} me: \/syslog 1$/.test(line)))
})

test('access_log gzip: buffers are compressed one after the other', async () => {
  for (const n of [1, 2]) {
    await ask(`/gzip?n=${n}`)
    await eventually(() => {
      const packed = Buffer.from(server.file('packed.log'), 'latin1')
      return packed.length > 0 && gunzipSync(packed).toString().split('\n').length === n + 1
    })
  }
})

test('access_log: a path with variables, but not for a document root that is not there', async () => {
  await ask('/path?n=a')
  await ask('/path?n=a')
  await ask('/rootless?n=a')
  await eventually(() => server.file('dir/by_a') === '/path a\n/path a\n')
  assert.equal(server.file('dir/rootless_a'), '')
  await ask('/file?n=file')
  await eventually(() => server.file('dir/of_file') === '/file file\n')
  await eventually(() =>
    /testing ".*missing" existence failed \(2: No such file or directory\)/.test(server.errorLog()),
  )
  await ask('/path?n=no/such')
  await eventually(() =>
    /\[crit\].* open\(\) ".*by_no\/such" failed \(2: No such file or directory\)/.test(server.errorLog()),
  )
})

test('open_log_file_cache: files in use stay open under whatever name', async () => {
  for (const n of ['once', 'a', 'a', 'b', 'b']) await ask(`/cached?n=${n}`)
  await eventually(() => server.file('dir/kept_b').split('\n').length === 3)
  renameSync(join(server.dir, 'dir'), join(server.dir, 'moved'))
  for (const n of ['once', 'a', 'b']) await ask(`/cached?n=${n}`)
  await eventually(() => server.file('moved/kept_b').split('\n').length === 4)
  assert.equal(server.file('moved/kept_a').split('\n').length, 4)
  assert.equal(server.file('moved/kept_once').split('\n').length, 2)
  mkdirSync(join(server.dir, 'dir'))
})

test('access_log: two lines for one file share the buffer that one of them asks for', async () => {
  await ask('/both?n=1')
  await eventually(() => server.file('both.log') === '/both 1\n/both 1\n')
})

test('error_log: levels and targets of a location', async () => {
  await ask('/level?bad=x')
  await eventually(() => /\[error\].* invalid size "x"/.test(server.file('own.log')))
  assert.ok(!server.errorLog().includes('invalid size'))
})
