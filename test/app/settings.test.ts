// The settings of `portico serve`: that all of Gunicorn's are there, how a command line is read, and the configuration it makes.

import assert from 'node:assert/strict'
import test from 'node:test'
import { escapedFormat, logFormatOf } from '../../src/app/settings/access-log-format.ts'
import { addressUrl, listenAddress, parseBind } from '../../src/app/settings/bind.ts'
import { readCommandLine } from '../../src/app/settings/command-line.ts'
import type { Settings } from '../../src/app/settings/command-line.ts'
import { configurationText, greeting } from '../../src/app/settings/configuration.ts'
import { logsInPython } from '../../src/app/settings/python-side.ts'
import { allSettings, gunicornSettings, ownSettings, sections } from '../../src/app/settings/index.ts'
import { SettingError, UsageError } from '../../src/app/settings/setting.ts'
import type { FileValue, Setting } from '../../src/app/settings/setting.ts'
import { splitWords } from '../../src/app/settings/words.ts'
import { serveHelp } from '../../src/cli/serve-help.ts'
import { Random, seed } from '../codec/h1/feeding.ts'
import { configuration } from './serve-configuration.ts'

const table = Object.entries(gunicornSettings as Record<string, Setting<unknown>>)

function read(line: string, environment: Record<string, string> = {}): Settings {
  return readCommandLine(line === '' ? [] : line.split(' '), environment).settings
}

function complaint(line: string | readonly string[], environment: Record<string, string> = {}): string {
  try {
    readCommandLine(typeof line === 'string' ? line.split(' ') : line, environment)
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error))
    assert.doesNotMatch(error.message, /\n/)
    return error.message
  }
  return ''
}

test('all 119 settings of Gunicorn are declared, each in one section and with a reason where it does not work', () => {
  assert.equal(table.length, 119)
  assert.equal(sections.flatMap(section => Object.keys(section.settings)).length, 119 + Object.keys(ownSettings).length)
  for (const [name, setting] of table) {
    assert.match(name, /^[a-z][a-z0-9_]*$/)
    assert.match(setting.about, /^[A-Z].*\.$/s, name)
    assert.equal(setting.reason === '', setting.state === 'works', name)
  }
})

test('no flag belongs to two settings', () => {
  const flags = Object.values(allSettings as Record<string, Setting<unknown>>).flatMap(setting => setting.flags)
  assert.equal(new Set(flags).size, flags.length)
})

test('the control socket is where Gunicorn has it unless something else is said', () => {
  const line = (options: string): string | undefined =>
    /^control_socket .*$/m.exec(configuration(`${options} mysite`.trim()))?.[0]
  assert.equal(line(''), 'control_socket /run/user/1/gunicorn.ctl mode=0600 optional;')
  assert.equal(line('--control-socket a.ctl'), 'control_socket /srv/a.ctl mode=0600;')
  assert.equal(line('--control-socket /b --control-socket-mode 0660'), 'control_socket /b mode=0660;')
  assert.equal(line('--no-control-socket'), undefined)
  assert.match(complaint('--control-socket-mode 600'), /bits of permissions are needed, as in 0600/)
  assert.match(complaint('--control-socket='), /a path is needed/)
})

test("defaults are Gunicorn's", () => {
  const settings = read('')
  assert.deepEqual(settings.bind, [{ type: 'tcp', host: '127.0.0.1', port: 8000 }])
  const { workers, worker_class, threads, timeout, graceful_timeout, keepalive, backlog } = settings
  assert.deepEqual(
    [workers, worker_class, threads, timeout, graceful_timeout, keepalive, backlog],
    [1, 'sync', 1, 30, 30, 2, 2048],
  )
  const { limit_request_line, limit_request_fields, limit_request_field_size, preload_app, wsgi_app } = settings
  assert.deepEqual([limit_request_line, limit_request_fields, limit_request_field_size], [4094, 100, 8190])
  assert.deepEqual([preload_app, wsgi_app], [false, null])
})

test('options are read in every spelling argparse reads', () => {
  for (const line of ['-w 4 a', '-w4 a', '-w=4 a', '--workers 4 a', '--workers=4 a', 'a --worker 4', 'a -w 2 -w 4']) {
    if (line.includes('--worker 4')) assert.match(complaint(line), /could be --workers, --worker-class/)
    else assert.deepEqual([read(line).workers, read(line).wsgi_app], [4, 'a'])
  }
  assert.equal(read('--graceful 5 a').graceful_timeout, 5)
  assert.deepEqual([read('-DR a').daemon, read('-DRw3 a').workers], [true, 3])
  assert.deepEqual(read('-e A=1 --env B=2=3 a').raw_env, [
    ['A', '1'],
    ['B', '2=3'],
  ])
  assert.equal(read('-w 2 -- a').wsgi_app, 'a')
  assert.equal(read('--access-logfile - a').accesslog, '-')
  assert.deepEqual(read('--pythonpath x,/y a').pythonpath, ['x', '/y'])
  assert.deepEqual([read('-m 022 a').umask, read('-m 0o22 a').umask, read('-m 0x12 a').umask], [18, 18, 18])
})

test('a number of workers may be a range', () => {
  const { workers, max_workers: most } = read('-w 2..16 a', {})
  assert.deepEqual([workers, most], [2, 16])
  assert.equal(read('a -w 3', { WEB_CONCURRENCY: '2..4' }).max_workers, 0)
  assert.match(complaint('a -w 4..2', {}), /invalid value "4\.\.2"/)
  assert.match(complaint('a -w 0..2', {}), /invalid value "0\.\.2"|invalid value/)
})

test('the command line wins over GUNICORN_CMD_ARGS, which wins over WEB_CONCURRENCY and PORT', () => {
  const environment = { GUNICORN_CMD_ARGS: '-w 3 --bind :9001 --env "A=b c"', WEB_CONCURRENCY: '2', PORT: '9000' }
  assert.equal(read('a', { WEB_CONCURRENCY: '2' }).workers, 2)
  assert.deepEqual(read('a', { PORT: '9000' }).bind, [{ type: 'tcp', host: '0.0.0.0', port: 9000 }])
  assert.equal(read('a', environment).workers, 3)
  assert.deepEqual(read('a', environment).raw_env, [['A', 'b c']])
  assert.equal(read('-w 5 a', environment).workers, 5)
  assert.deepEqual(read('-b :1 -b :2 a', environment).bind.map(listenAddress), ['0.0.0.0:1', '0.0.0.0:2'])
  assert.match(complaint('a', { WEB_CONCURRENCY: 'x' }), /invalid value "x" in WEB_CONCURRENCY: a whole number/)
  assert.match(complaint('a', { GUNICORN_CMD_ARGS: '--wokers 1' }), /unknown option "--wokers" in GUNICORN_CMD_ARGS/)
  assert.match(complaint('a', { GUNICORN_CMD_ARGS: '"a' }), /GUNICORN_CMD_ARGS: " is not closed/)
})

test('what is wrong is told in one line that names it', () => {
  assert.equal(complaint('--wokers 2 a'), 'unknown option "--wokers", did you mean "--workers"?')
  assert.equal(complaint('-x a'), 'unknown option "-x"')
  assert.equal(complaint('-w'), 'option -w needs a value')
  assert.equal(complaint('-w -t 3 a'), 'option -w needs a value')
  assert.equal(complaint('--preload=yes a'), 'option --preload takes no value')
  assert.equal(complaint('-w 0 a'), 'invalid value "0" for -w: a whole number is needed, 1 or more')
  assert.equal(complaint('--timeout -1 a'), 'invalid value "-1" for --timeout: a whole number is needed, 0 or more')
  assert.match(
    complaint('-k meinheld a'),
    /^invalid value "meinheld" for -k: workers of this class are not supported; there/,
  )
  assert.match(complaint('-k eventlet a'), /^invalid value "eventlet" for -k: eventlet is not supported, .* gevent/)
  assert.match(
    complaint('-k gunicorn.workers.gtornado.TornadoWorker a'),
    /runs by itself, behind proxy_pass; there are sync/,
  )
  assert.match(complaint('--forwarded-allow-ips 10.0.0.1/8 a'), /"10.0.0.1\/8" has bits set beyond its mask/)
  assert.match(complaint('--proxy-protocol v3 a'), /^invalid value "v3" for --proxy-protocol: it must be one of off/)
  assert.equal(complaint('-e A a'), 'invalid value "A" for -e: as in NAME=value')
})

test('what is not supported is refused by name, unless it asks for what is done anyway', () => {
  for (const [, setting] of table.filter(([, one]) => one.state === 'refused')) {
    for (const flag of setting.flags) {
      const said = complaint(setting.value === '' ? [flag] : [flag, 'something'])
      assert.ok(said.startsWith(`${flag} is not supported: `) && said.endsWith(setting.reason), said)
    }
  }
  assert.equal(complaint('--protocol http --header-map drop --http-protocols h1 --proxy-protocol off a'), '')
})

test('what a file sets stands between the environment and GUNICORN_CMD_ARGS', () => {
  const file = (values: Record<string, FileValue>, line = 'a', environment = {}): Settings =>
    readCommandLine(line.split(' '), environment, { location: './gunicorn.conf.py', values }).settings
  assert.equal(file({ workers: 3 }, 'a', { WEB_CONCURRENCY: '2' }).workers, 3)
  assert.equal(file({ workers: 3 }, 'a', { GUNICORN_CMD_ARGS: '-w 4' }).workers, 4)
  assert.equal(file({ workers: 3 }, '-w 5 a', { GUNICORN_CMD_ARGS: '-w 4' }).workers, 5)
  assert.equal(file({ wsgi_app: 'b:c' }, '-w 5').wsgi_app, 'b:c')
  assert.equal(file({ wsgi_app: 'b:c' }, 'd').wsgi_app, 'd')
  assert.deepEqual(file({ bind: ['unix:a', ':80'] }, '-b :81 a').bind, [{ type: 'tcp', host: '', port: 81 }])
  const { timeout, reload, daemon, worker_class, keyfile, raw_env, secure_scheme_headers, post_fork } = file({
    timeout: '0x10',
    reload: true,
    daemon: 'False',
    worker_class: ['app.Mine', 'uvicorn.workers.UvicornWorker', 'gunicorn.workers.base.Worker'],
    keyfile: null,
    raw_env: ['A=b=c'],
    secure_scheme_headers: { 'X-Https': 'on' },
    post_fork: true,
    unheard_of: { python: 'int' },
    dirty_workers: 0,
  })
  assert.deepEqual(
    [timeout, reload, daemon, worker_class, keyfile, post_fork],
    [16, true, false, 'uvicorn', null, true],
  )
  assert.deepEqual([raw_env, secure_scheme_headers], [[['A', 'b=c']], [['X-Https', 'on']]])
})

test('a bad value in a file is told with its name and the file', () => {
  const said = (values: Record<string, FileValue>): string => {
    try {
      readCommandLine(['a'], {}, { location: 'x.py', values })
    } catch (error) {
      return (error as UsageError).message
    }
    return ''
  }
  assert.equal(said({ workers: 1.5 }), 'invalid value "1.5" for workers in x.py: a whole number is needed, 1 or more')
  assert.equal(said({ reload: 3 }), 'invalid value "3" for reload in x.py: it must be True or False')
  assert.equal(
    said({ pidfile: { python: 'PosixPath' } }),
    'invalid value for pidfile in x.py: a value of type PosixPath cannot stand here',
  )
  assert.equal(
    said({ secure_scheme_headers: [1] }),
    'invalid value for secure_scheme_headers in x.py: a dict is needed',
  )
  assert.match(said({ spew: true }), /^spew in x\.py is not supported: /)
  assert.match(said({ dirty_apps: ['a:B:0'] }), /^invalid value [^]*for dirty_apps in x\.py: a class is needed, as in/)
})

test('addresses are read as Gunicorn reads them', () => {
  const url = (word: string): string => addressUrl(parseBind(word))
  assert.equal(url('1.2.3.4:80'), 'http://1.2.3.4:80')
  assert.equal(url('1.2.3.4'), 'http://1.2.3.4:8000')
  assert.equal(url(':80'), 'http://0.0.0.0:80')
  assert.equal(url('*:80'), 'http://0.0.0.0:80')
  assert.equal(url('tcp://Localhost:80'), 'http://localhost:80')
  assert.equal(url('[::1]:80'), 'http://[::1]:80')
  assert.equal(url('[::]'), 'http://[::]:8000')
  assert.equal(url('unix:/a/b c.sock'), 'unix:/a/b c.sock')
  assert.equal(url('unix://a.sock'), 'unix:a.sock')
  assert.equal(url('fd://3'), 'fd://3')
  for (const wrong of ['8000', '::1', 'fd://a', 'unix:', 'a:b', 'a:65536', '[a]:1', 'a;b', ':80:90']) {
    assert.throws(() => parseBind(wrong), SettingError, wrong)
  }
})

test("access log formats become nginx's, and atoms without a counterpart are refused", () => {
  const gunicorns = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
  assert.equal(
    logFormatOf(gunicorns),
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"',
  )
  assert.equal(logFormatOf('%({X-Real-IP}i)sx%({Via}o)s %%'), '${http_x_real_ip}x${sent_http_via} %')
  assert.equal(
    logFormatOf('%(M)sms %(D)s %(p)s %(L)s'),
    '${request_time_ms}ms $request_time_us <$app_worker> $request_time_precise',
  )
  assert.equal(logFormatOf('%({PATH_INFO}e)s %({HTTP_HOST}e)s'), '$uri ${http_host}')
  for (const wrong of ['%(x)s', '%({x}e)s', '%h', '%', '$a', '%(h)d']) {
    assert.throws(() => logFormatOf(wrong), SettingError, wrong)
  }
})

test('what a request may lack is "-" in the access log', () => {
  assert.deepEqual(escapedFormat('%(u)s %(q)s %({X-A}i)sx%({Via}o)s'), {
    format: '$logged_remote_user $args ${logged_http_x_a}x${logged_sent_http_via}',
    dashed: ['remote_user', 'http_x_a', 'sent_http_via'],
  })
  const text = configuration('--access-logfile - --access-logformat %(f)s a')
  assert.match(text, /map \$http_referer \$logged_http_referer \{\n *"" -;\n *default \$http_referer;\n *\}/)
})

test('GUNICORN_CMD_ARGS is split as a shell does it', () => {
  assert.deepEqual(splitWords(` a 'b c'"d\\"e"\\ f  "" '\\n' `), ['a', 'b cd"e f', '', '\\n'])
  assert.deepEqual(splitWords(''), [])
  // shlex knows no other escapes within quotes.
  assert.deepEqual(splitWords('"\\$a \\`b \\\\" \\$c #d'), ['\\$a \\`b \\', '$c', '#d'])
  assert.throws(() => splitWords(`a 'b`), UsageError)
})

test('the configuration has a line for every setting that works', () => {
  const text = configuration(
    '-w 3 --threads 2 -b :80 -b unix:a.sock --max-requests 10 --max-requests-jitter 2 --preload --pythonpath x,/y -e A="$1 ' +
      '--limit-request-line 100 --limit-request-field_size 200 --keep-alive 7 --access-logfile a.log ' +
      '--error-logfile e.log --log-level info -p a.pid --umask 7 --python venv/bin/python -t 40 m:app',
  )
  for (const line of [
    'pid /srv/a.pid;',
    'error_log /srv/e.log notice;',
    'access_log /srv/a.log;',
    'listen 0.0.0.0:80 backlog=2048;',
    'listen unix:/srv/a.sock backlog=2048;',
    'kind threads;',
    'threads 2;',
    'workers 3;',
    'max_requests 10 jitter=2;',
    'preload on;',
    'python_path /y;',
    'python_path /srv/x;',
    'environment "A=\\"$1";',
    'large_client_header_buffers 8 202;',
    'keepalive_timeout 7s;',
    'raw_requests on;',
    'ignore_invalid_headers off;',
    'strict_requests on;',
    'require_host off;',
    'location = * {',
    'python /srv/venv/bin/python;',
    'timeout 40s;',
    'queue 2048 timeout=40s;',
    'module m:app;',
    'app m {',
    'app_pass m;',
  ]) {
    assert.match(text, new RegExp(`^ *${RegExp.escape(line)}$`, 'm'), line)
  }
  assert.ok(text.indexOf('python_path /y;') < text.indexOf('python_path /srv/x;'))
  assert.match(configuration('-b [::]:1 m:f(1)'), /listen \[::\]:1 ipv6only=off backlog=2048;/)
  assert.match(configuration('--chdir é mé'), /module "m\xc3\xa9";/)
  assert.throws(() => configuration('-w 1'), /no application is named/)
})

test('a log that only Python can write is left to the workers', () => {
  assert.match(
    configuration('--access-logfile - --access-logformat %(D)s a'),
    /log_format gunicorn escape=json "\$request_time_us";/,
  )
  assert.match(configuration('--access-logfile - --access-logformat %({x}e)s a'), /access_log off;/)
  assert.match(configuration('--access-logfile - --logger-class a.B a'), /access_log off;/)
  assert.equal(logsInPython(read('--log-config x.ini a')), true)
  assert.equal(logsInPython(read('--access-logformat %({x}e)s a')), false)
})

test('trust, TLS, syslog and StatsD become directives', () => {
  assert.match(
    configuration('a'),
    /app_trusted_proxies 127\.0\.0\.1 ::1;\n *app_scheme_header X-FORWARDED-PROTOCOL ssl;/,
  )
  assert.match(configuration('a', { FORWARDED_ALLOW_IPS: '*' }), /app_trusted_proxies \*;/)
  assert.match(configuration('--proxy-protocol --bind :1 a'), /listen 0\.0\.0\.0:1 proxy_protocol=auto backlog=2048;/)
  assert.match(configuration('-k uvicorn.workers.UvicornWorker a'), /app_forwarded x-forwarded;/)
  assert.doesNotMatch(configuration('-k asgi a'), /app_forwarded/)
  assert.match(
    configuration('--certfile c --keyfile k --cert-reqs 2 --ca-certs ca a'),
    / ssl backlog[^]*ssl_certificate \/srv\/c;[^]*ssl_verify_client on;/,
  )
  assert.throws(() => configuration('--keyfile k a'), /--keyfile needs --certfile/)
  assert.match(
    configuration('--log-syslog --log-syslog-to unix:///dev/log --log-syslog-prefix my.app a'),
    /error_log "syslog:server=unix:\/dev\/log,facility=user,tag=gunicorn_my_app_error,nohostname" warn;|error_log syslog:server=unix:\/dev\/log,facility=user,tag=gunicorn_my_app_error,nohostname warn;/,
  )
  assert.match(configuration('--log-syslog my.site:app'), /tag=gunicorn_my_site_app_error,/)
  assert.match(
    configuration('--statsd-host h --statsd-prefix p --dogstatsd-tags a:b,c a'),
    /statsd h:8125 prefix=p tags=a:b,c;/,
  )
})

test('one lifespan state for all requests can be asked for, of kind asgi', () => {
  assert.match(configuration('-k asgi --lifespan-state shared a'), /lifespan_state shared;/)
  assert.match(configuration('-k asgi a', { GUNICORN_CMD_ARGS: '--lifespan-state=shared' }), /lifespan_state shared;/)
  assert.doesNotMatch(configuration('-k asgi --lifespan-state copy a'), /lifespan_state/)
  assert.doesNotMatch(configuration('--lifespan-state shared a'), /lifespan_state/)
  assert.throws(() => configuration('--lifespan-state own a'), /invalid value "own" for --lifespan-state/)
})

test('the greeting tells where, who and what', () => {
  const said = (line: string): string => greeting(read(line), read(line).bind, 'portico 1', 7)
  assert.equal(said('a'), 'portico 1 listening at http://127.0.0.1:8000 (7), 1 sync worker of "a"')
  assert.match(
    said('-w 2 --threads 4 -b :1 -b unix:s a:b'),
    /at http:\/\/0.0.0.0:1, unix:s \(7\), 2 workers with 4 threads each of "a:b"$/,
  )
})

test('the help names every flag and fits 100 columns', () => {
  const help = serveHelp('portico serve')
  for (const line of help.split('\n')) assert.ok(line.length <= 100, line)
  for (const [name, setting] of table) {
    if (setting.flags.length > 0)
      assert.ok(
        setting.flags.some(flag => help.includes(flag)),
        name,
      )
  }
})

test('any command line is read or refused with a UsageError', t => {
  const start = seed()
  t.diagnostic(`FUZZ_SEED=${start}`)
  const random = new Random(start)
  const below = (n: number): number => random.below(n)
  const flags = Object.values(allSettings as Record<string, Setting<unknown>>).flatMap(setting => setting.flags)
  const pieces = [
    '-',
    '--',
    '=',
    '1',
    '0x',
    'unix:',
    ':',
    '[::]',
    '%(',
    ')s',
    '"',
    "'",
    '\\',
    ' ',
    'é',
    '\0',
    '$',
    ',',
    'a',
  ]
  const word = (): string => {
    let text = below(2) === 0 ? flags[below(flags.length)]! : ''
    for (let i = below(4); i > 0; i--) text += pieces[below(pieces.length)]!
    return text
  }
  for (let i = 0; i < 20_000; i++) {
    const args = Array.from({ length: below(5) }, word)
    const environment = below(3) === 0 ? { GUNICORN_CMD_ARGS: word(), PORT: below(2) === 0 ? word() : '' } : {}
    try {
      const line = readCommandLine(args, environment)
      const addresses = line.settings.bind.filter(one => one.type !== 'fd')
      const around = {
        origin: word(),
        folder: '/srv',
        runFolder: '',
        user: null,
        scriptName: '',
        addresses,
        controlSocket: '/c',
      }
      configurationText(line, around)
    } catch (error) {
      assert.ok(error instanceof UsageError, `${JSON.stringify([args, environment])}: ${String(error)}`)
    }
  }
})
