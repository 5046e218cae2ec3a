// `npm start` as a newcomer meets it: it says where to look, everything there works, and it leaves nothing behind.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, readdirSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  atEnd,
  eventually,
  freePort,
  get,
  isAlive,
  needs,
  PORTICO,
  processTree,
  tempDir,
  within,
} from '../helpers/index.ts'
import type { Process } from '../helpers/index.ts'
import { killAll } from '../helpers/processes.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Started {
  readonly port: number
  readonly temp: string
  tree(): Process[]
  output(): string
  stop(signal: NodeJS.Signals): Promise<number | null>
}

async function start(t: TestContext, port: number): Promise<Started> {
  const temp = tempDir(t)
  const data = tempDir(t)
  const child = spawn(process.execPath, ['scripts/start.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temp, GUESTBOOK_DATA: data, PORT: String(port), PYTHONDONTWRITEBYTECODE: '1' },
  })
  let output = ''
  child.stdout.on('data', bytes => (output += bytes))
  child.stderr.on('data', bytes => (output += bytes))
  const exited = new Promise<number | null>(resolve => child.once('exit', resolve))
  atEnd(t, () => killAll(processTree(child.pid!)))
  const address = await eventually(() => {
    if (child.exitCode !== null) return [output, '0']
    return /http:\/\/127\.0\.0\.1:(\d+)\//.exec(output)
  }, 60_000)
  if (child.exitCode !== null) throw new Error(`npm start ended (${child.exitCode}): ${output}`)
  return {
    port: Number(address?.[1]),
    temp,
    tree: () => processTree(child.pid!),
    output: () => output,
    stop(signal) {
      child.kill(signal)
      return within(exited, 30_000, () => `no exit on ${signal}: ${output}`)
    },
  }
}

test('start: the book, its files and the clock are served, and TERM leaves nothing behind', async t => {
  if (!needs(t, 'python3')) return
  const started = await start(t, await freePort())
  const { port } = started
  assert.match((await get(port)).text, /Sign the book/)
  const logo = await get(port, '/static/logo.svg')
  assert.equal(logo.header('content-type'), 'image/svg+xml')
  const clock = await get(port, '/node/hello')
  assert.equal(clock.status, 200)
  assert.match(clock.text, /GET \/node\/hello/)
  const tree = started.tree()
  assert.ok(tree.length > 5, 'master, front, clock and four guest-book workers')
  assert.equal(await started.stop('SIGTERM'), 0)
  await eventually(() => !tree.some(isAlive))
  assert.deepEqual(readdirSync(started.temp), [])
  await eventually(() => /"GET \/node\/hello HTTP\/1\.1" 200/.test(started.output()))
})

test('start: with its port taken it takes a following one, and Ctrl-C ends it', async t => {
  if (!needs(t, 'python3')) return
  const other = net.createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const taken = (other.address() as net.AddressInfo).port
  const started = await start(t, taken)
  assert.ok(started.port > taken)
  assert.equal((await get(started.port)).status, 200)
  const tree = started.tree()
  assert.equal(await started.stop('SIGINT'), 0)
  await eventually(() => !tree.some(isAlive))
  assert.deepEqual(readdirSync(started.temp), [])
})

test('examples: every configuration is accepted as it stands', t => {
  // A check makes the folders and logs that a start would want.
  const dir = tempDir(t)
  for (const folder of ['conf', 'examples']) cpSync(root + folder, join(dir, folder), { recursive: true })
  for (const [prefix, file] of [
    ['examples/', 'portico.conf'],
    ['conf/', 'nginx.conf'],
  ] as const) {
    const args = ['-t', '-p', join(dir, prefix), '-c', file, '-e', 'stderr']
    const { status, stderr } = spawnSync(PORTICO, args, { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    assert.match(stderr, /test is successful/)
  }
})
