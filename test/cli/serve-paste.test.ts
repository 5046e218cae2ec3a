// `portico serve --paste`: the application is what PasteDeploy makes of an ini file.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, serveApp, tempDir } from '../helpers/index.ts'
import { env, HELLO, runServe } from './serve-command.ts'

const SHOP = `def make(global_conf, **local):
    told = '%s %s %s' % (local['colour'], global_conf.get('size'), global_conf['here'].rpartition('/')[2] != '')
    def app(environ, start_response):
        start_response('200 OK', [])
        return [told.encode()]
    return app
`

const INI = `[app:main]
paste.app_factory = shop:make
colour = red

[app:other]
paste.app_factory = shop:make
colour = %(size)s-ish

[server:main]
use = egg:gunicorn#main
host = 192.0.2.1
workers = 7
`

test('an ini file makes the application, with variables from the command line', async t => {
  if (!needs(t, 'pastedeploy')) return
  const files = { 'shop.py': SHOP, 'shop.ini': INI }
  const main = await serveApp(t, ['--paste', 'shop.ini', 'ignored:app'], { files, env })
  assert.equal((await get(main.port)).text, 'red None True')
  await eventually(() => /1 sync worker of "config:\/.*shop\.ini"/.test(main.output))
  const other = await serveApp(t, ['--paster=shop.ini#other', '--paste-global', 'size=a\\=b'], { files, env })
  assert.equal((await get(other.port)).text, 'a=b-ish a=b True')
})

test('a file can name it, a reload reads it again, and [server:main] is for pserve', async t => {
  if (!needs(t, 'pastedeploy')) return
  const conf = 'paste = "shop.ini"\nraw_paste_global_conf = ["size=9"]\n'
  const server = await serveApp(t, [], { files: { 'shop.py': SHOP, 'shop.ini': INI, 'gunicorn.conf.py': conf }, env })
  assert.equal((await get(server.port)).text, 'red 9 True')
  writeFileSync(join(server.dir, 'shop.ini'), INI.replace('= red', '= blue'))
  server.signal('SIGHUP')
  await eventually(async () => (await get(server.port)).text === 'blue 9 True')
  writeFileSync(join(server.dir, 'shop.ini'), INI.replace('shop:make', 'shop:unmake'))
  server.signal('SIGHUP')
  await eventually(() => /PasteDeploy cannot make it: .*unmake/.test(server.output))
  assert.equal((await get(server.port)).text, 'blue 9 True')
})

test('what is wrong with it is told in one line', t => {
  if (!needs(t, 'pastedeploy')) return
  const said = (...args: string[]): string =>
    runServe(t, ['--check-config', ...args], { 'shop.py': SHOP, 'shop.ini': INI, 'hello.py': HELLO }).stderr
  assert.match(
    said('--paste', 'no.ini'),
    /^portico serve: invalid value ".*\/no\.ini" for --paste: there is no such file\n$/,
  )
  assert.match(
    said('--paste', 'shop.ini#third'),
    /^portico serve: cannot load "config:.*shop\.ini#third": No section 'third'.*\n$/,
  )
  assert.match(said('--paste', 'shop.ini#other'), /^portico serve: cannot load .*: PasteDeploy cannot make it: .*size/m)
  assert.match(said('--paste', 'shop.ini'), /"config:.*shop\.ini" is loaded, the configuration is ok\n$/)
  assert.match(said('--paste-global', 'x', 'hello'), /invalid value "x" for --paste-global: as in NAME=value\n$/)
  const printed = runServe(t, ['--print-config', '--paste', 'shop.ini', '--paste-global', 'a=b c'], { 'shop.ini': INI })
  assert.match(printed.stdout, /app shop \{[^]*module "?config:\/.*shop\.ini"?;\n *paste_global a "b c";/)
  assert.doesNotMatch(printed.stdout, /192\.0\.2\.1/)
})

test('without PasteDeploy it is told what to install', t => {
  if (!needs(t, 'python3')) return
  const files = { 'shop.ini': INI, 'sitecustomize.py': 'import sys\nsys.modules["paste.deploy"] = None\n' }
  const dir = tempDir(t)
  const { stderr } = runServe(t, ['--check-config', '--paste', 'shop.ini'], files, { PYTHONPATH: dir }, dir)
  assert.match(stderr, /: .* has no package PasteDeploy, which reads such files: "pip install PasteDeploy"\n$/)
})

test('an ini file that configures logging does so for the server', async t => {
  if (!needs(t, 'pastedeploy')) return
  const logs = `${INI}
[loggers]
keys = root, access
[handlers]
keys = own
[formatters]
keys = own
[logger_root]
level = INFO
handlers = own
[logger_access]
level = INFO
handlers = own
qualname = gunicorn.access
propagate = 0
[handler_own]
class = FileHandler
args = ('%(here)s/own.log',)
formatter = own
[formatter_own]
format = mine: %(name)s %(message)s
`
  const args = ['--paste', 'shop.ini', '--access-logfile', '-', '--access-logformat', '%(r)s']
  const server = await serveApp(t, args, { files: { 'shop.py': SHOP, 'shop.ini': logs }, env })
  await get(server.port, '/x')
  await eventually(() => /^mine: gunicorn\.access GET \/x HTTP\/1\.1$/m.test(server.file('own.log')))
})
