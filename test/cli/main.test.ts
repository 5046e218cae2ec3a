// The commands that only look at a configuration, and starts that fail: words and exit codes.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, symlinkSync } from 'node:fs'
import net from 'node:net'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { tempDir, writeFiles } from '../helpers/index.ts'
import { PORTICO } from '../helpers/serve.ts'

interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function portico(args: readonly string[], program = PORTICO): Outcome {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'latin1', timeout: 60_000 })
  return { code: status, out: stdout, err: stderr }
}

function folder(t: test.TestContext, conf: string): { dir: string; args: string[] } {
  const dir = tempDir(t)
  writeFiles(dir, { 'a.conf': conf, 'logs/.keep': '' })
  return { dir, args: ['-p', `${dir}/`, '-c', 'a.conf', '-e', 'e.log'] }
}

test('-v tells both versions, -V also what was built in, on standard error', () => {
  assert.deepEqual(portico(['-v']), { code: 0, out: '', err: 'nginx version: nginx/1.31.5 (portico/0.1.0)\n' })
  const { code, err } = portico(['-V'])
  assert.equal(code, 0)
  assert.match(err, /^nginx version: nginx\/1\.31\.5 \(portico\/0\.1\.0\)\n/)
  assert.match(err, /^built with OpenSSL \d+\.\d+\.\d+/m)
  assert.match(err, /^TLS SNI support enabled$/m)
  assert.match(err, /^configure arguments: --with/m)
  assert.doesNotMatch(err, /dynamic|--with-debug/)
})

test('-h lists the switches', () => {
  const { code, err } = portico(['-h'])
  assert.equal(code, 0)
  assert.match(err, /^Usage: portico \[-\?hvVtTq\]/m)
  assert.match(err, /-s signal {5}: send signal/)
  assert.match(err, /^ +portico serve \[options\] MODULE/m)
  assert.deepEqual(portico(['--help']), { code, out: '', err })
  assert.deepEqual(portico(['--version']), portico(['-v']))
})

test('the launcher takes a Node of the path where none is installed beside it, if that is new enough', t => {
  const dir = tempDir(t)
  writeFiles(dir, {
    'portico/bin/portico': readFileSync(PORTICO),
    'portico/dist/cli/main.js': 'console.log("started")',
  })
  writeFiles(dir, { 'old/node': '#!/bin/sh\n[ "$1" = -v ] && echo v20.1.0\nexit 1\n' })
  for (const program of ['portico/bin/portico', 'old/node']) chmodSync(join(dir, program), 0o755)
  const start = (nodes: string): Outcome => {
    const env = { PATH: `${nodes}:/usr/bin:/bin` }
    const { status, stdout, stderr } = spawnSync(join(dir, 'portico/bin/portico'), ['-v'], { encoding: 'latin1', env })
    return { code: status, out: stdout, err: stderr }
  }
  assert.deepEqual(start(dirname(process.execPath)), { code: 0, out: 'started\n', err: '' })
  const old = start(join(dir, 'old'))
  assert.equal(old.code, 1)
  assert.match(old.err, /^portico: Node 26 or newer is needed \(".*\/old\/node" is v20\.1\.0\): .* PORTICO_NODE\n$/)
})

test('a wrong switch is told in the words of nginx', () => {
  assert.deepEqual(portico(['-x']), { code: 1, out: '', err: 'portico: invalid option: "x"\n' })
  assert.match(
    portico(['sevre', 'a:b']).err,
    /^portico: "sevre" is no command: there are "serve", "status", "control", "explain", [^\n]*\n$/,
  )
  assert.deepEqual(portico(['-c']), { code: 1, out: '', err: 'portico: option "-c" requires file name\n' })
})

test('through a link named nginx it speaks as nginx', t => {
  const link = join(tempDir(t), 'nginx')
  symlinkSync(PORTICO, link)
  assert.equal(portico(['-x'], link).err, 'nginx: invalid option: "x"\n')
  assert.equal(portico(['x'], link).err, 'nginx: invalid option: "x"\n')
  assert.equal(portico(['--help'], link).err, 'nginx: invalid option: "-"\n')
  assert.doesNotMatch(portico(['-h'], link).err, /serve/)
})

test('the default error log is missed where nginx is called, or where -e names it, and not by a first -t', t => {
  const dir = tempDir(t)
  writeFiles(dir, { 'a.conf': 'pid a.pid; error_log a.log; events {}' })
  symlinkSync(PORTICO, join(dir, 'nginx'))
  const args = ['-p', `${dir}/`, '-c', 'a.conf', '-t', '-q']
  assert.deepEqual(portico(args), { code: 0, out: '', err: '' })
  const missed = `could not open error log file: open() "${dir}/logs/error.log" failed (2: No such file or directory)`
  assert.equal(portico(args, join(dir, 'nginx')).err, `nginx: [alert] ${missed}\n`)
  assert.equal(portico([...args, '-e', 'logs/error.log']).err, `portico: [alert] ${missed}\n`)
})

test('-t says that a usable configuration is one, and -q makes it say nothing', t => {
  const { dir, args } = folder(t, 'ssl_object_cache_inheritable on; events {}')
  assert.deepEqual(portico([...args, '-t']), {
    code: 0,
    out: '',
    err: `portico: the configuration file ${dir}/a.conf syntax is ok\nportico: configuration file ${dir}/a.conf test is successful\n`,
  })
  assert.deepEqual(portico([...args, '-t', '-q']), { code: 0, out: '', err: '' })
  assert.equal(existsSync(join(dir, 'logs/nginx.pid')), false)
})

test('-t tells what a start would stumble over', t => {
  for (const [text, problem] of [
    ['pid no/where/x.pid; events {}', 'open() "%/no/where/x.pid" failed (2: No such file or directory)'],
    ['error_log no/where/e.log; events {}', 'open() "%/no/where/e.log" failed (2: No such file or directory)'],
    [
      'events {} http { access_log no/a.log; server { listen 127.0.0.1:8099; } }',
      'open() "%/no/a.log" failed (2: No such file or directory)',
    ],
    [
      'events {} http { server { listen 192.0.2.1:8099; } }',
      'bind() to 192.0.2.1:8099 failed (99: Cannot assign requested address)',
    ],
  ] as const) {
    const { dir, args } = folder(t, text)
    assert.deepEqual(portico([...args, '-t']), {
      code: 1,
      out: '',
      err:
        `portico: the configuration file ${dir}/a.conf syntax is ok\n` +
        `portico: [emerg] ${problem.replace('%', dir)}\n` +
        `portico: configuration file ${dir}/a.conf test failed\n`,
    })
  }
})

test('-T prints every file once, as it is', t => {
  const { dir, args } = folder(t, 'events {}\ninclude b.conf;\ninclude b.conf;')
  writeFiles(dir, { 'b.conf': '# na\u00efve\n' })
  const { code, out } = portico([...args, '-T', '-q'])
  assert.equal(code, 0)
  const b = Buffer.from('# na\u00efve\n').toString('latin1')
  const a = 'events {}\ninclude b.conf;\ninclude b.conf;'
  assert.equal(out, `# configuration file ${dir}/a.conf:\n${a}\n# configuration file ${dir}/b.conf:\n${b}\n`)
})

test('several errors are told at once, the first as nginx tells it, on standard error and in the -e log', t => {
  const { dir, args } = folder(t, 'events {}\nworker_proceses 1;\ndaemon maybe;\n')
  const { code, err } = portico([...args, '-t'])
  assert.equal(code, 1)
  assert.match(err, new RegExp(`^portico: \\[emerg\\] unknown directive "worker_proceses" in ${dir}/a.conf:2\n`))
  assert.match(err, /did you mean "worker_processes"/)
  assert.match(err, /invalid value "maybe" in "daemon" directive, it must be "on" or "off" in .*a\.conf:3\n/)
  assert.ok(err.endsWith(`portico: configuration file ${dir}/a.conf test failed\n`))
  const log = readFileSync(join(dir, 'e.log'), 'latin1')
  assert.match(log, /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[emerg\] \d+#\d+: unknown directive "worker_proceses" in /)
})

test('a start with a wrong configuration fails with exit code 1 and no pid file', t => {
  const { dir, args } = folder(t, 'daemon off; events {}\nfoo;\n')
  assert.deepEqual(portico(args), {
    code: 1,
    out: '',
    err: `portico: [emerg] unknown directive "foo" in ${dir}/a.conf:2\n`,
  })
  assert.equal(existsSync(join(dir, 'logs/nginx.pid')), false)
})

test('a configuration file that is not there, and an include that is not', t => {
  const { dir, args } = folder(t, 'events {}\ninclude missing.conf;\n')
  const open = (file: string): string => `[emerg] open() "${dir}/${file}" failed (2: No such file or directory)`
  assert.equal(portico(['-p', dir, '-e', 'e.log', '-c', 'no.conf']).err, `portico: ${open('no.conf')}\n`)
  const included = portico([...args, '-t'])
  assert.ok(included.err.startsWith(`portico: ${open('missing.conf')} in ${dir}/a.conf:2\n`), included.err)
  assert.equal(included.code, 1)
})

test('a configuration without events is refused', t => {
  const { args } = folder(t, 'daemon off;')
  const { code, err } = portico(args)
  assert.equal(code, 1)
  assert.equal(err, 'portico: [emerg] no "events" section in configuration\n')
})

test('-g is read before the file, and its errors have no line', t => {
  const { args } = folder(t, 'events {}')
  assert.equal(portico([...args, '-t', '-q', '-g', 'worker_processes 2; pid x.pid;']).code, 0)
  assert.match(portico([...args, '-t', '-g', 'foo on;']).err, /\[emerg\] unknown directive "foo" in command line\n/)
})

test('an address in use fails in the words of nginx', async t => {
  const other = net.createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const { port } = other.address() as net.AddressInfo
  const { args } = folder(t, `daemon off; events {} http { access_log off; server { listen 127.0.0.1:${port}; } }`)
  const { code, err } = portico(args)
  assert.equal(code, 1)
  assert.match(
    err,
    new RegExp(`^portico: \\[emerg\\] bind\\(\\) to 127\\.0\\.0\\.1:${port} failed \\(98: Address already in use\\)`),
  )
  assert.ok(err.endsWith('portico: [emerg] still could not bind()\n'))
})

test('a user that does not exist is refused by root, and warned about by others', t => {
  const { dir, args } = folder(t, 'user no-such-user;\nevents {}\n')
  chmodSync(dir, 0o777)
  const { code, err } = portico([...args, '-t'])
  const root = process.getuid?.() === 0
  assert.equal(code, root ? 1 : 0)
  if (root) assert.match(err, /\[emerg\] getpwnam\("no-such-user"\) failed in .*a\.conf:1\n/)
  else assert.match(err, /\[warn\] the "user" directive makes sense only if/)
})

test('-s without a running master tells what is wrong with the pid file', t => {
  const { dir, args } = folder(t, 'pid a.pid; events {}')
  assert.deepEqual(portico([...args, '-s', 'stop']), {
    code: 1,
    out: '',
    err: `portico: [error] open() "${dir}/a.pid" failed (2: No such file or directory)\n`,
  })
  writeFiles(dir, { 'a.pid': 'x\n' })
  assert.equal(portico([...args, '-s', 'stop']).err, `portico: [error] invalid PID number "x" in "${dir}/a.pid"\n`)
})
