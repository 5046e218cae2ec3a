// `npm test`: provides what the tests need of the system where it may, checks types, style and format, and runs the tests.
// `npm test -- test/config/…` runs only those files (and flags of node --test), without the checks.
//
// node's own summary comes last, so what fails before it is told before it, and counts in the exit code.
//
// Files that fail are run once more, alone, where they are few: what measures time may fail on a machine that has other things
// to do. Such a file is named loudly, before the summary: a test that fails now and then is to be mended.

import { spawn, spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasIpv6, isMissing, PEERS } from '../test/helpers/needs.ts'
import type { Peer } from '../test/helpers/needs.ts'
import { killAll, processTree, signalTo } from '../test/helpers/processes.ts'
import type { Process } from '../test/helpers/processes.ts'
import type { TestResult } from './reporter.ts'
import { makePackage } from './test-package.ts'

const NODE_MAJOR = 26
/** One test file; the slowest takes a tenth of it, or half on a machine that is five times as slow. */
const FILE_MS = Number(process.env['PORTICO_TEST_FILE_SECONDS'] ?? 420) * 1000
/** Everything; then the run is interrupted, which still gives a summary. */
const WHOLE_MS = 25 * 60_000
const KILL_AFTER_MS = 15_000
const WATCH_MS = 2000
/** If more files than these fail, it is not the machine. */
const AGAIN_MAX = 4
/** So much time must be left for it. */
const AGAIN_MS = 8 * 60_000
const UPDATE_MS = 120_000
const INSTALL_MS = 300_000
const LOCK_SECONDS = 60
/** Tests make folders of their own in there, and servers in these: some sixty bytes. */
const TMPDIR_MAX = 40
/** What programs under test would heed, and those that test them: the tests say themselves what is in their environment. */
const FOREIGN = new RegExp(
  [
    '^(?:GUNICORN_|PYTHON|DJANGO_|FLASK_|LC_|LANG|LISTEN_|WATCHDOG_|NOTIFY_SOCKET$|SSL_CERT_|OPENSSL_)',
    '^(?:PORT|NGINX|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS|DEBUG|(?:FORCE|NO)_COLOR|(?:https?|all|no)_proxy)$',
    '^NODE_(?:ENV|OPTIONS|EXTRA_CA_CERTS|USE_ENV_PROXY)$',
  ].join('|'),
  'i',
)
const POLICY = '/usr/sbin/policy-rc.d'

/** Told to end, and what they have started; what is left of them at the end is ended then. */
const doomed: Process[] = []
const begun = performance.now()
const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
process.chdir(root)
// Test files start programs by name: `node` must be the pinned one for them too.
process.env['PATH'] = `${bin}:${process.env['PATH'] ?? ''}`

checkNode()
shortenTmpdir()
/** For what the run itself writes. */
const directory = mkdtempSync(join(tmpdir(), 'portico-tests-'))
process.once('exit', removeDirectory)
// Compiled once for all processes, and kept no longer than what they run. Named as the launcher's own (own-environment.ts), so
// that applications do not see it.
process.env['NODE_COMPILE_CACHE'] ??= join(directory, 'node_modules', '.cache', 'portico')
// Files are made, and modes are judged, as with the usual one.
process.umask(0o022)
const given = process.argv.slice(2)
const files = given.filter(arg => !arg.startsWith('-'))
provide()
for (const name of Object.keys(process.env)) if (FOREIGN.test(name)) delete process.env[name]
const checksFailed = files.length > 0 ? [] : runChecks()
if (!providePackage()) checksFailed.push('build')
if (checksFailed.length > 0) say(`failed: ${checksFailed.join(', ')}; the tests are run all the same`)
process.exitCode = (await runAll()) || (checksFailed.length > 0 ? 1 : 0)

function say(text: string): void {
  console.log(`# ${text}`)
}

/** A process that is just ending may still write what it has compiled: then something stays. */
function removeDirectory(): void {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  } catch (error) {
    say(String(error))
  }
}

function checkNode(): void {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) {
    say(`node ${process.versions.node}, ${availableParallelism()} processors`)
    return
  }
  console.error(`Node ${NODE_MAJOR} is needed, this is ${process.versions.node}: use "npm ci", then "npm test"`)
  process.exit(1)
}

/** Sockets are made in folders below it, and the path of one has room for 107 bytes. */
function shortenTmpdir(): void {
  try {
    if (Buffer.byteLength(realpathSync(tmpdir())) <= TMPDIR_MAX) return
    accessSync('/tmp', constants.W_OK | constants.X_OK)
  } catch {
    return
  }
  say(`${tmpdir()} is too long for the paths of Unix sockets: the tests make their files in /tmp`)
  process.env['TMPDIR'] = '/tmp'
}

/** Installs what is missing where that is possible, and tells the tests what they have to do without. */
function provide(): void {
  const canInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
  if (canInstall) install(Object.values(PEERS).map(peer => peer.package))
  const missing = (Object.keys(PEERS) as Peer[]).filter(isMissing)
  process.env['PORTICO_MISSING'] = missing.join(',')
  if (!hasIpv6) say('MISSING: IPv6 (the address ::1). Tests of it are SKIPPED.')
  if (missing.length === 0) return
  const packages = missing.map(peer => PEERS[peer].package).join(' ')
  say('')
  say(`MISSING: ${missing.join(', ')}`)
  say('Tests against them are SKIPPED. On Debian, as root:')
  say(`    apt-get install --no-install-recommends ${packages}`)
  say('')
}

function install(packages: readonly string[]): void {
  const absent = packages.filter(name => !isInstalled(name))
  if (absent.length === 0) return
  say(`installing ${absent.join(' ')}`)
  // A server's package starts the server, unless this file, which Debian asks first, forbids it.
  const ours = !existsSync(POLICY)
  try {
    if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    aptGet(['update', '-qq'], UPDATE_MS)
    aptGet(['install', '-y', '-qq', '--no-install-recommends', ...absent], INSTALL_MS)
  } catch (error) {
    // A system that can only be read.
    say(String(error))
  } finally {
    if (ours) rmSync(POLICY, { force: true })
  }
}

function isInstalled(name: string): boolean {
  const query = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' })
  return query.stdout === 'installed'
}

function aptGet(args: readonly string[], timeout: number): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  // A machine that has just started may be at installing something itself.
  const done = spawnSync('apt-get', ['-o', `DPkg::Lock::Timeout=${LOCK_SECONDS}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout,
    env,
  })
  if (done.status === 0) return
  const why = done.error?.message ?? (done.stderr.trim() || done.stdout.trim()).split('\n').slice(-5).join('\n# ')
  say(`apt-get ${args[0]} failed: ${why}`)
}

/** The names of those that failed. */
function runChecks(): string[] {
  const checks = { types: ['tsc', '--noEmit'], lint: ['oxlint'], format: ['oxfmt', '--check', '.'] }
  return Object.entries(checks).flatMap(([name, [tool, ...args]]) => {
    const started = performance.now()
    const status = spawnSync(join(bin, tool!), args, { stdio: ['ignore', 'inherit', 'inherit'] }).status
    say(`${name}: ${status === 0 ? 'good' : 'FAILED'} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
    return status === 0 ? [] : [name]
  })
}

/** What the tests start, unless PORTICO_BIN names something; where it cannot be built, they start the checkout. */
function providePackage(): boolean {
  if (process.env['PORTICO_BIN'] !== undefined) return true
  const started = performance.now()
  const launcher = makePackage(root, directory)
  if (launcher !== null) process.env['PORTICO_BIN'] = launcher
  say(`build: ${launcher === null ? 'FAILED' : 'good'} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  return launcher !== null
}

/** @returns the exit code */
async function runAll(): Promise<number> {
  const result = join(directory, 'result.json')
  const all = files.length > 0 ? files : globSync('test/**/*.test.ts').sort()
  const code = await runTests(all, result)
  const first = readResult(result)
  if (code === 0 || first === null || files.length > 0 || !mayRepeat(first)) return code
  say(`once more, alone: ${first.failed.join(' ')}`)
  const codeAlone = await runTests(first.failed, result)
  const alone = readResult(result)
  if (alone === null) return codeAlone || 1
  tell(first, alone)
  return codeAlone
}

function readResult(path: string): TestResult | null {
  if (!existsSync(path)) return null
  const result = JSON.parse(readFileSync(path, 'utf8')) as TestResult
  rmSync(path)
  return result
}

function mayRepeat(result: TestResult): boolean {
  return (
    result.failed.length > 0 && result.failed.length <= AGAIN_MAX && performance.now() - begun < WHOLE_MS - AGAIN_MS
  )
}

/** The whole run's counts, with the second attempt's failures in place of the first one's. */
function tell(first: TestResult, alone: TestResult): void {
  const unsteady = first.failed.filter(file => !alone.failed.includes(file))
  if (unsteady.length > 0) say(`UNSTEADY, failed beside others and passed alone: ${unsteady.join(' ')}`)
  const count = (result: TestResult, name: string): number =>
    Number(result.summary.find(line => line.startsWith(`${name} `))?.split(' ')[1] ?? 0)
  const bad = ['fail', 'cancelled']
  const mended = bad.reduce((sum, name) => sum + count(first, name) - count(alone, name), 0)
  const lines = first.summary.map(line => {
    const [name, value] = line.split(' ') as [string, string]
    if (bad.includes(name)) return `${name} ${count(alone, name)}`
    return name === 'pass' ? `pass ${Number(value) + mended}` : line
  })
  console.log(`\n${lines.map(line => `ℹ ${line}`).join('\n')}`)
}

/** node --test; resolves with its exit code. */
function runTests(names: readonly string[], result: string): Promise<number> {
  const flags = given.filter(arg => arg.startsWith('-'))
  const args = [
    '--test',
    '--test-reporter=./scripts/reporter.ts',
    `--test-timeout=${FILE_MS}`,
    '--disable-warning=ExperimentalWarning',
  ]
  args.push(`--test-concurrency=${Math.max(2, availableParallelism())}`, ...flags, ...names)
  return new Promise(resolve => {
    const env = { ...process.env, PORTICO_TEST_RESULT: result }
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env })
    const since = new Map<string, number>()
    const watch = setInterval(() => endSlowFiles(child.pid!, since), WATCH_MS)
    const interrupt = setTimeout(
      () => {
        say(`interrupted after ${WHOLE_MS / 60_000} minutes`)
        child.kill('SIGINT')
        setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref()
      },
      WHOLE_MS - (performance.now() - begun),
    )
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => child.kill(name))
    child.once('exit', code => {
      clearTimeout(interrupt)
      clearInterval(watch)
      killAll(doomed)
      resolve(code ?? 1)
    })
  })
}

/** node's own timeout ends tests, but not a file whose process does not end after them. */
function endSlowFiles(runner: number, since: Map<string, number>): void {
  const now = performance.now()
  const tree = processTree(runner)
  for (const one of tree.filter(({ parent }) => parent === runner)) {
    const key = `${one.pid} ${one.started}`
    const seen = since.get(key)
    if (seen === undefined) since.set(key, now)
    else if (now - seen > FILE_MS) {
      say(`${one.command.split(' ').at(-1)} does not end: its process is ended after ${FILE_MS / 1000} s`)
      const below = processTree(one.pid)
      since.set(key, Infinity)
      signalTo(one.pid, 'SIGTERM')
      doomed.push(...below)
      setTimeout(killAll, KILL_AFTER_MS, below).unref()
    }
  }
}
