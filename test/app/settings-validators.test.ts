// What settings take and what they do not, on the command line and in configuration files, where Gunicorn's validators say so.

import assert from 'node:assert/strict'
import test from 'node:test'
import { readCommandLine } from '../../src/app/settings/command-line.ts'
import type { CommandLine, Settings } from '../../src/app/settings/command-line.ts'
import { configurationText } from '../../src/app/settings/configuration.ts'
import { pythonSide } from '../../src/app/settings/python-side.ts'
import { UsageError } from '../../src/app/settings/setting.ts'
import type { FileValue } from '../../src/app/settings/setting.ts'

/** What stands for a setting that is refused. */
const NO = Symbol('refused')

function outcome(name: string, read: () => CommandLine): unknown {
  try {
    return read().settings[name as keyof Settings]
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error))
    assert.match(error.message, new RegExp(`${name}|--|-[a-z]\\b`))
    return NO
  }
}

function inFile(name: string, value: FileValue): unknown {
  return outcome(name, () => readCommandLine(['a'], {}, { location: 'x.py', values: { [name]: value } }))
}

function onLine(name: string, ...args: string[]): unknown {
  return outcome(name, () => readCommandLine([...args, 'a'], {}))
}

function text(...args: string[]): string {
  const line = readCommandLine([...args, 'a'], {})
  const addresses = line.settings.bind.filter(one => one.type !== 'fd')
  const around = {
    origin: '',
    folder: '/srv',
    runFolder: '/run/x',
    user: null,
    scriptName: '',
    addresses,
    controlSocket: '',
  }
  return configurationText(line, around)
}

test('numbers are decimal on the command line, and of any base as text in a file', () => {
  for (const name of ['backlog', 'threads', 'timeout', 'max_requests', 'limit_request_fields', 'worker_connections']) {
    for (const [value, read] of [
      ['5', 5],
      [' 7 ', 7],
      ['+3', 3],
      ['010', 10],
      ['1_0', 10],
      ['0', 0],
      ['-1', NO],
      ['0x10', NO],
      ['1.5', NO],
      ['', NO],
    ] as const)
      assert.equal(onLine(name, `--${name.replaceAll('_', '-')}=${value}`), read, `${name} ${value}`)
    for (const [value, read] of [
      [5, 5],
      ['5', 5],
      ['0x10', 16],
      ['0b11', 3],
      ['0o17', 15],
      ['1_0', 10],
      [true, 1],
      [false, 0],
      ['010', NO],
      [-1, NO],
      [1.5, NO],
      [null, NO],
      [[], NO],
      [[1], NO],
      [1e20, NO],
    ] as const)
      assert.equal(inFile(name, value), read, `${name} = ${JSON.stringify(value)}`)
  }
  assert.deepEqual([onLine('umask', '-m', '022'), onLine('umask', '-m', '0x12'), inFile('umask', 18)], [18, 18, 18])
  assert.deepEqual([inFile('umask', '022'), inFile('umask', '0o22')], [NO, 18])
})

test('nobody waits in a queue of none', () => {
  assert.match(text('--backlog', '0'), /backlog=1;[^]*queue 1 |queue 1 [^]*backlog=1;/)
  assert.match(text('-k', 'gthread', '--threads', '0'), /threads 1;/)
  assert.match(text('-k', 'gevent', '--worker-connections', '0'), /worker_connections 1;/)
})

test('what is too much is as much as there can be', () => {
  assert.match(text('-k', 'gthread', '--threads', '5000'), /threads 512;/)
  assert.deepEqual(readCommandLine(['--threads', '5000', 'a'], {}).warnings, ['threads 5000: a worker has 512'])
  const lines = text(
    '--certfile',
    'c',
    '--http2-initial-window-size',
    '5000000000',
    '--http2-max-concurrent-streams=9999999999',
  )
  assert.match(lines, /http2_max_concurrent_streams 2147483647;\n *http2_body_preread_size 2147483647;/)
})

test('text is a string in a file, and nothing else', () => {
  for (const name of [
    'pidfile',
    'accesslog',
    'errorlog',
    'proc_name',
    'certfile',
    'logconfig',
    'root_path',
    'protocol',
  ]) {
    const good = name === 'protocol' ? ' uwsgi ' : ' x '
    assert.equal(inFile(name, good), good.trim(), name)
    for (const value of [5, true, 1.5, ['x'], [], { a: 'b' }, { python: 'bytes' }])
      assert.equal(inFile(name, value), NO, `${name} = ${JSON.stringify(value)}`)
  }
  assert.deepEqual([inFile('pidfile', null), inFile('user', 1000), inFile('group', '33')], [null, '1000', '33'])
})

test('lists are lists, a string is one of one, and what is empty is not set', () => {
  assert.deepEqual(inFile('raw_env', ' A=b '), [['A', 'b']])
  assert.deepEqual(inFile('raw_env', ['A=b', 'C=d=e']), [
    ['A', 'b'],
    ['C', 'd=e'],
  ])
  for (const value of [null, '', [], false, 0, {}])
    assert.deepEqual(inFile('raw_env', value), [], JSON.stringify(value))
  for (const value of [true, 5, [1], [null], { python: 'object' }]) assert.equal(inFile('raw_env', value), NO)
})

test('switches are True and False, or those words', () => {
  for (const [value, read] of [
    [true, true],
    [false, false],
    [' TRUE ', true],
    ['false', false],
    [null, false],
    ['no', NO],
    [1, NO],
    [0, NO],
    [[], NO],
  ] as const)
    assert.equal(inFile('preload_app', value), read, JSON.stringify(value))
})

test('who is trusted can be nobody', () => {
  for (const name of ['forwarded_allow_ips', 'proxy_allow_ips', 'uwsgi_allow_ips', 'forwarder_headers']) {
    assert.deepEqual(inFile(name, null), [], name)
    assert.deepEqual(inFile(name, ''), [], name)
    assert.equal(inFile(name, ['*']), NO, name)
  }
  assert.deepEqual(readCommandLine(['a'], { FORWARDED_ALLOW_IPS: '' }).settings.forwarded_allow_ips, [])
  const masks = ['10.0.0.0/255.0.0.0', '10.0.0.0/0.255.255.255', '1.2.3.4/255.255.255.255', '0.0.0.0/0.0.0.0']
  assert.deepEqual(inFile('forwarded_allow_ips', masks.join()), ['10.0.0.0/8', '10.0.0.0/8', '1.2.3.4/32', '0.0.0.0/0'])
  for (const wrong of ['10.0.0.0/255.0.255.0', '010.0.0.1', '10.0.0.01', 'localhost', 'unix'])
    assert.equal(inFile('forwarded_allow_ips', wrong), NO, wrong)
  assert.match(text('--forwarded-allow-ips='), /app_trusted_proxies none;/)
})

test('words that Gunicorn chooses from', () => {
  assert.deepEqual(
    ['auto', 'AUTO', 'inotify', ''].map(word => onLine('reload_engine', `--reload-engine=${word}`)),
    ['auto', NO, 'inotify', NO],
  )
  assert.deepEqual(
    ['fast', 'Python', 'rust'].map(word => onLine('http_parser', `--http-parser=${word}`)),
    ['fast', 'python', NO],
  )
  assert.deepEqual(
    ['', 'H2, h1', 'h1,', 'h1,h1', 'h3', 'h4'].map(word => onLine('http_protocols', `--http-protocols=${word}`)),
    [null, ['h2', 'h1'], ['h1'], NO, NO, NO],
  )
  assert.deepEqual(
    [true, false, null, 'V2', 'none', 1, ['v1']].map(value => inFile('proxy_protocol', value)),
    ['auto', 'off', 'off', 'v2', 'off', NO, NO],
  )
  assert.deepEqual(
    [0, '1', 2, true, 3, null, '0x1'].map(value => inFile('cert_reqs', value)),
    [0, 1, 2, 1, NO, NO, 1],
  )
  assert.equal(onLine('access_log_format', '--access-logformat= x '), 'x')
  assert.deepEqual(inFile('secure_scheme_headers', { X_Https: 'on' }), [['X_Https', 'on']])
  assert.equal(inFile('secure_scheme_headers', { 'X Https': 'on' }), NO)
  assert.deepEqual([inFile('secure_scheme_headers', null), inFile('logconfig_dict', null)], [NO, NO])
})

test('a level that nobody knows is info, and told', () => {
  const { settings, warnings } = readCommandLine(['--log-level', 'Notice', 'a'], {})
  assert.equal(settings.loglevel, 'Notice')
  assert.match(warnings.join(), /^loglevel "Notice" is none of debug, info, .*taken for info$/)
  assert.match(text('--log-level', 'Notice'), /error_log stderr notice;/)
  assert.match(text('--log-level', 'WARNING'), /error_log stderr warn;/)
})

test('where syslog is matters to who logs there', () => {
  for (const wrong of [
    ['--log-syslog-to', 'tcp://h:1'],
    ['--log-syslog-to', 'h'],
    ['--log-syslog-facility', 'x'],
  ]) {
    assert.match(text(...wrong), /app_pass/)
    assert.throws(() => text('--log-syslog', ...wrong), /invalid value ".*" for --log-syslog-/)
  }
  assert.match(text('--log-syslog', '--log-syslog-facility', 'LOCAL3'), /facility=local3,/)
})

test('further words are passed over, as Gunicorn does, and told of', () => {
  const { settings, warnings } = readCommandLine(['a', 'b'], {})
  assert.equal(settings.wsgi_app, 'a')
  assert.deepEqual(warnings, ['"b" is ignored: "a" is the application'])
})

test('what is short for an option of Gunicorn is so beside our own', () => {
  assert.deepEqual(onLine('pythonpath', '--pyth', '/x'), ['/x'])
  assert.equal(onLine('max_requests_jitter', '--max-requests-', '3'), 3)
  assert.equal(onLine('http2_max_frame_size', '--http2-max-f', '16385'), 16385)
  assert.throws(() => readCommandLine(['--limit-request-field', '1', 'a'], {}), /could be --limit-request-fields, /)
  assert.throws(() => readCommandLine(['--max', '1', 'a'], {}), /could be --max-requests, --max-requests-jitter$/)
})

test('a value may begin with "-" where it has a space and is no option', () => {
  assert.equal(onLine('access_log_format', '--access-logformat', '- %(r)s'), '- %(r)s')
  assert.equal(onLine('proc_name', '-n', '-9 lives'), '-9 lives')
  assert.equal(onLine('proc_name', '-n', '--workers=3 4'), NO)
})

test('an empty -c is none', async () => {
  const { configLocation } = await import('../../src/app/settings/command-line.ts')
  assert.equal(configLocation(['-c', ''], {}), null)
  assert.equal(configLocation(['-c', ''], { GUNICORN_CMD_ARGS: '-c x.py' }), 'x.py')
})

test('HTTP/2 without TLS is for trusted proxies', () => {
  assert.deepEqual(
    ['off', 'Prior-Knowledge', 'upgrade', 'BOTH', 'on'].map(mode =>
      onLine('http2_cleartext', `--http2-cleartext=${mode}`),
    ),
    ['off', 'prior-knowledge', 'upgrade', 'both', NO],
  )
  assert.deepEqual(
    [true, false, null, 'off', 1].map(value => inFile('http2_cleartext', value)),
    ['prior-knowledge', 'off', 'off', 'off', NO],
  )
  assert.doesNotMatch(text('--http2-cleartext', 'upgrade'), /http2/)
  assert.match(
    text('--http2-cleartext', 'both', '--forwarded-allow-ips', '10.0.0.0/8'),
    /http2 on;[^]*http2_cleartext_from 10\.0\.0\.0\/8;/,
  )
  for (const rest of [
    ['--http-protocols', 'h1'],
    ['--protocol', 'uwsgi'],
    ['--certfile', 'c'],
  ])
    assert.doesNotMatch(text('--http2-cleartext', 'prior-knowledge', ...rest), /http2_cleartext_from/)
  const { warnings } = readCommandLine(['--http2-cleartext', 'both', 'a'], {})
  assert.match(warnings.join(), /^http2_cleartext both: "Upgrade: h2c" is not answered/)
})

test('limits of HTTP/2 are held to what frames can be', () => {
  assert.deepEqual(
    [16383, 16384, '0x10000', 16777215, 16777216].map(value => inFile('http2_max_frame_size', value)),
    [NO, 16384, 65536, 16777215, NO],
  )
  const lines = text('--certfile', 'c', '--http2-max-frame-size', '20000', '--http2-max-header-list-size', '0')
  assert.match(lines, /http2_max_frame_size 20000;\n *http2_max_header_list_size 0;/)
})

test("hooks see settings as Gunicorn's cfg has them", () => {
  const side = (args: string[], values: Record<string, FileValue> = {}): Readonly<Record<string, unknown>> => {
    const file = { location: 'x.py', values }
    return pythonSide(readCommandLine([...args, 'a'], {}, file), file, '/', args).values
  }
  const { sendfile, suppress_ragged_eofs, http_protocols, cert_reqs, http2_max_frame_size } = side([])
  assert.deepEqual(
    [sendfile, suppress_ragged_eofs, http_protocols, cert_reqs, http2_max_frame_size],
    [true, true, ['h1'], 0, 16384],
  )
  assert.equal(side(['--no-sendfile'])['sendfile'], false)
  assert.equal(side([], { sendfile: false })['sendfile'], false)
})

test('a worker class that is not there is told apart from one that is not known', () => {
  const said = (value: FileValue): string => {
    try {
      readCommandLine(['a'], {}, { location: 'x.py', values: { worker_class: value } })
    } catch (error) {
      return (error as UsageError).message
    }
    return ''
  }
  // Python tells what a class is derived from, and of one that it does not find no more than its name.
  assert.match(said('mine.Worker'), /^invalid value "mine\.Worker" for worker_class in x\.py: there is no such class$/)
  assert.match(
    said(['mine.Other', 'builtins.Base']),
    /for worker_class in x\.py: workers of this class are not supported/,
  )
  assert.equal(said(['mine.Third', 'gunicorn.workers.sync.SyncWorker']), '')
})
