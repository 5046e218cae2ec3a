// fastcgi_pass before a real PHP-FPM, as the files under conf/ set it up.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually, request } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { isMissing, phpFpm } from '../../helpers/needs.ts'
import { accepts } from '../../helpers/ports.ts'
import { atEnd, fileScope } from '../../helpers/scope.ts'
import { tempDir, writeFiles } from '../../helpers/temp-dir.ts'

const ECHO = `<?php
header('X-Method: ' . $_SERVER['REQUEST_METHOD']);
header('X-Script: ' . $_SERVER['SCRIPT_NAME']);
header('X-Proxy: ' . ($_SERVER['HTTP_PROXY'] ?? 'none'));
if (isset($_GET['status'])) http_response_code((int) $_GET['status']);
if (isset($_GET['go'])) header('Location: ' . $_GET['go']);
if (isset($_GET['log'])) error_log($_GET['log']);
if (isset($_GET['big'])) { echo str_repeat('big', (int) $_GET['big']); exit; }
echo $_SERVER['PATH_INFO'] ?? '', '|', $_SERVER['HTTP_X_TOKEN'] ?? '', '|', $_POST['name'] ?? '', '|', strlen(file_get_contents('php://input'));
`

const scope = fileScope()
const skip = isMissing('phpFpm') ? 'php-fpm missing' : false

async function php(): Promise<{ socket: string; dir: string }> {
  const dir = tempDir(scope)
  const socket = join(dir, 'php.sock')
  const asRoot = process.getuid?.() === 0
  const user = asRoot ? 'user = nobody\ngroup = nogroup\nlisten.mode = 0666\n' : ''
  writeFiles(dir, {
    'www/index.php': ECHO,
    'fpm.conf': `[global]\nerror_log = ${dir}/fpm.log\ndaemonize = no\n[www]\n${user}listen = ${socket}\npm = static\npm.max_children = 2\ncatch_workers_output = yes\n`,
  })
  chmodSync(dir, 0o755)
  const child = spawn(phpFpm()!, ['-n', '-F', '-y', join(dir, 'fpm.conf')], { stdio: 'ignore' })
  const gone = once(child, 'exit')
  atEnd(scope, async () => {
    child.kill('SIGTERM')
    await gone
  })
  await eventually(() => accepts(socket))
  return { socket, dir }
}

const { socket, dir } = skip === false ? await php() : { socket: '/nowhere', dir: '/nowhere' }
const params = readFileSync(fileURLToPath(new URL('../../../conf/fastcgi.conf', import.meta.url)), 'latin1')
const server = await serveHttp(
  scope,
  `root ${dir}/www; client_max_body_size 4m;
   location / {
     ${params}
     fastcgi_index            index.php;
     fastcgi_split_path_info  ^(.+\\.php)(.*)$;
     fastcgi_param            PATH_INFO $fastcgi_path_info;
     fastcgi_pass             php;
     fastcgi_keep_conn        on;
   }`,
  `upstream php { server unix:${socket}; keepalive 2; }`,
)

const ask = (path: string, more: { method?: string; headers?: Record<string, string>; body?: string } = {}) =>
  request({ address: server.port, path, ...more })

test('PHP is told script, path and fields, and nobody sets its HTTP_PROXY', { skip }, async () => {
  const response = await ask('/index.php/a/b?x=1', { headers: { 'X-Token': 'abc', Proxy: 'http://evil' } })
  assert.equal(response.status, 200)
  assert.equal(response.text, '/a/b|abc||0')
  assert.deepEqual(
    ['x-method', 'x-script', 'x-proxy'].map(name => response.header(name)),
    ['GET', '/index.php', 'none'],
  )
  assert.match(response.header('content-type') ?? '', /^text\/html/)
})

test('PHP reads forms and large bodies, and its own statuses and redirects are the response’s', { skip }, async () => {
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
  assert.equal((await ask('/', { method: 'POST', headers: form, body: 'name=value' })).text, '||value|10')
  const body = 'x'.repeat(3_000_000)
  const type = { 'Content-Type': 'application/octet-stream' }
  assert.equal((await ask('/', { method: 'PUT', headers: type, body })).text, `|||${body.length}`)
  assert.equal((await ask('/?status=404')).status, 404)
  const redirect = await ask('/?go=/elsewhere')
  assert.deepEqual([redirect.status, redirect.header('location')], [302, '/elsewhere'])
})

test('a large answer arrives whole, many times over the same connections', { skip }, async () => {
  for (let turn = 0; turn < 5; turn++) {
    assert.equal((await ask('/?big=700000')).body.length, 2_100_000)
    assert.equal((await ask('/', { method: 'HEAD' })).text, '')
  }
})

test('what PHP says on stderr is in the error log', { skip }, async () => {
  await ask('/?log=something+odd')
  await eventually(() => /FastCGI sent in stderr: "[^"]*something odd/.test(server.errorLog()))
})
