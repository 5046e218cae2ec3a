// What the tests want of the system and may lack. A test that cannot run says so: it is skipped by name, with the reason, and
// scripts/test.ts lists the same at the top of its output.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Other programs the tests use, with the Debian package each comes in and how its presence is told. */
export const PEERS = {
  python3: { package: 'python3', present: () => findCommand('python3') },
  gunicorn: { package: 'gunicorn', present: () => findCommand('gunicorn') },
  django: { package: 'python3-django', present: () => hasPython('django') },
  flask: { package: 'python3-flask', present: () => hasPython('flask') },
  pastedeploy: { package: 'python3-pastedeploy', present: () => hasPython('paste.deploy') },
  gevent: { package: 'python3-gevent', present: () => hasPython('gevent') },
  starlette: { package: 'python3-starlette', present: () => hasPython('starlette') },
  grpc: { package: 'python3-grpcio', present: () => hasPython('grpc') },
  uwsgi: { package: 'uwsgi-plugin-python3', present: () => findCommand('uwsgi_python3') },
  phpFpm: { package: 'php-fpm', present: () => phpFpm() },
  memcached: { package: 'memcached', present: () => findCommand('memcached') },
  nginx: { package: 'nginx-light', present: () => findCommand('nginx') },
  curl: { package: 'curl', present: () => findCommand('curl') },
  nghttp: { package: 'nghttp2-client', present: () => findCommand('nghttp') },
  openssl: { package: 'openssl', present: () => findCommand('openssl') },
  pebble: { package: 'pebble', present: () => findCommand('pebble') },
  ab: { package: 'apache2-utils', present: () => findCommand('ab') },
  wrk: { package: 'wrk', present: () => findCommand('wrk') },
} as const

export type Peer = keyof typeof PEERS

/** PHP-FPM, whose name has PHP's version in it. */
export function phpFpm(): string | null {
  for (const folder of ['/usr/sbin', '/usr/local/sbin']) {
    const names = existsSync(folder) ? readdirSync(folder).filter(name => /^php-fpm[\d.]*$/.test(name)) : []
    if (names.length > 0) return join(folder, names.at(-1)!)
  }
  return null
}

/** Whether all are there; if not, the test is marked as skipped and should return. */
export function needs(t: Pick<TestContext, 'skip'>, ...peers: readonly Peer[]): boolean {
  const missing = peers.filter(isMissing)
  if (missing.length === 0) return true
  const packages = missing.map(peer => PEERS[peer].package).join(' ')
  t.skip(`${missing.join(', ')} missing: on Debian, "apt-get install ${packages}"`)
  return false
}

/** PORTICO_MISSING names those to do without, by a comma between them, whatever is installed. */
export function isMissing(peer: Peer): boolean {
  const declared = (process.env['PORTICO_MISSING'] ?? '').split(',')
  return declared.includes(peer) || !PEERS[peer].present()
}

/** Containers often have no IPv6. */
export const hasIpv6 = Object.values(networkInterfaces()).some(all => all?.some(({ address }) => address === '::1'))

/** As needs(). */
export function needsIpv6(t: Pick<TestContext, 'skip'>): boolean {
  if (!hasIpv6) t.skip('IPv6 missing: this machine has no address ::1')
  return hasIpv6
}

/** Who is nobody's: a user that need not have a name. */
const OTHER_ID = 65534
let noOthers: string | undefined

/** As needs(): that processes may be other users', who may read this checkout. */
export function needsOtherUsers(t: Pick<TestContext, 'skip'>): boolean {
  noOthers ??= whyNoOthers()
  if (noOthers !== '') t.skip(noOthers)
  return noOthers === ''
}

function whyNoOthers(): string {
  if (process.getuid?.() !== 0) return 'only root can become another user'
  // Of folders of a user's own, and with a umask like 077, nothing is readable to others.
  const ours = ['src/cli/main.ts', 'python/portico_bridge/__init__.py', 'bin/portico', 'package.json']
  const paths = [process.execPath, ...ours.map(name => fileURLToPath(new URL(`../../${name}`, import.meta.url)))]
  if (process.env['PORTICO_BIN'] !== undefined) paths.push(process.env['PORTICO_BIN'])
  const script = 'for path; do test -r "$path" || exit 1; done'
  const { status } = spawnSync('/bin/sh', ['-c', script, 'sh', ...paths], { uid: OTHER_ID, gid: OTHER_ID, cwd: '/' })
  if (status === null) return 'this root cannot become another user'
  return status === 0 ? '' : 'this checkout is closed to other users'
}

/** Where a test listens that shares its server with others: theirs must start without IPv6. */
export const LOOPBACK6 = hasIpv6 ? '::1' : '127.0.0.1'
export const LISTEN6 = hasIpv6 ? '[::1]' : '127.0.0.1'

/** PORTICO_PYTHON, or Debian's own, which its packages of Django and Flask are for; another python3 may come first on the path. */
export const PYTHON = process.env['PORTICO_PYTHON'] || systemPython()

const modules = new Map<string, boolean>()

/** Whether the system's Python can import the module. */
export function hasPython(module: string): boolean {
  const known = modules.get(module)
  if (known !== undefined) return known
  // find_spec looks for the module without running it: importing all of Django takes long.
  const code = `import importlib.util, sys; sys.exit(importlib.util.find_spec(${JSON.stringify(module)}) is None)`
  const found = spawnSync(PYTHON, ['-c', code], { stdio: 'ignore' }).status === 0
  modules.set(module, found)
  return found
}

function systemPython(): string {
  return isExecutable('/usr/bin/python3') ? '/usr/bin/python3' : (findCommand('python3') ?? 'python3')
}

/** Debian keeps servers in /usr/sbin, which is not on every user's path. */
export function findCommand(name: string): string | null {
  const path = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/local/sbin', '/usr/sbin', '/sbin')
  return path.map(dir => join(dir, name)).find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
