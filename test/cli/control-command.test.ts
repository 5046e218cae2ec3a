// `portico control` and a link named `gunicornc`, as commands: what they print, and how they end.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { parseControl } from '../../src/cli/control-options.ts'
import { accepts, eventually, needs, PORTICO, PYTHON, serveApp, tempDir } from '../helpers/index.ts'
import type { Scope } from '../helpers/index.ts'
import { HELLO } from './serve-command.ts'

/** The socket of a server with one worker, which serves. */
async function controlled(t: Scope): Promise<{ path: string }> {
  const server = await serveApp(t, ['-w', '1', 'hello'], {
    files: { 'hello.py': HELLO },
    env: { PORTICO_PYTHON: PYTHON },
  })
  const path = join(server.dir, 'tmp', 'gunicorn.ctl')
  await eventually(() => accepts(path))
  return { path }
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** `portico control …`; @param input standard input */
async function control(t: Scope, args: readonly string[], input = '', program = [PORTICO, 'control']): Promise<Ended> {
  const dir = tempDir(t)
  const [file, ...first] = program
  const child = spawn(file!, [...first, ...args], { env: { ...process.env, HOME: dir, XDG_RUNTIME_DIR: dir } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', bytes => (stdout += bytes))
  child.stderr.on('data', bytes => (stderr += bytes))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, stdout, stderr }
}

test('portico control: one command, as a table or as JSON; exit codes', async t => {
  if (!needs(t, 'python3')) return
  const { path } = await controlled(t)
  await eventually(async () => / serving /.test((await control(t, ['-s', path, 'show', 'workers'])).stdout))
  const table = await control(t, ['-s', path, 'show', 'workers'])
  assert.match(table.stdout, /^PID +AGE +BOOTED +STATE.*\n\d+ +1 +yes +serving.*\n\nTotal: 1\n$/)
  assert.deepEqual([table.code, table.stderr], [0, ''])
  const json = await control(t, [`--sock=${path}`, '-jc', 'show workers'])
  assert.equal(JSON.parse(json.stdout).count, 1)
  const behind = await control(t, ['-s', path, 'show', 'stats', '--json'])
  assert.equal(JSON.parse(behind.stdout).workers_current, 1)
  const wrong = await control(t, ['-s', path, 'worker', 'bogus'])
  assert.deepEqual([wrong.code, wrong.stdout], [1, ''])
  assert.equal(wrong.stderr, 'Error: Invalid argument: Unknown worker action: bogus\n')
  const nobody = await control(t, ['-s', path, 'worker', 'kill', '1'])
  assert.deepEqual([nobody.code, nobody.stdout], [1, 'success: no\nerror:   Worker 1 not found\n'])
})

test('portico control: options are read as argparse reads them', () => {
  const read = (...args: string[]): unknown[] => {
    const { socket, command, json } = parseControl(args)
    return [socket, command, json]
  }
  const expected = ['/a', ['show', 'all'], true]
  assert.deepEqual(read('-s', '/a', '-j', 'show', 'all'), expected)
  assert.deepEqual(read('-s/a', '-jcshow all'), expected)
  assert.deepEqual(read('--socket=/a', '--com', 'show "all"', '--json'), expected)
  assert.deepEqual(read('-s=/a', 'show', 'all', '-j'), expected)
  assert.deepEqual(read('-s', '/a', '-j', '--', 'show', 'all'), expected)
  assert.deepEqual(read('-s', '/a'), ['/a', null, false])
})

test('portico control: lines from standard input', async t => {
  if (!needs(t, 'python3')) return
  const { path } = await controlled(t)
  const { code, stdout, stderr } = await control(
    t,
    ['-s', path],
    'show dirty\n\nbogus\n"\nworker add\nquit\nshow all\n',
  )
  assert.equal(stdout, 'No task processes\nadded:    1\nprevious: 1\ntotal:    2\n')
  assert.equal(stderr, 'Error: Invalid argument: Unknown command: bogus\nError: a quote is not closed\n')
  assert.equal(code, 0)
  const ended = await control(t, ['-s', path, '--json'], 'shutdown quick\n')
  assert.equal(JSON.parse(ended.stdout).mode, 'quick')
})

test('portico control: without a server, and with wrong options, it says what is wrong', async t => {
  const dir = tempDir(t)
  const nobody = await control(t, ['-s', join(dir, 'a.ctl'), 'show', 'all'])
  assert.match(nobody.stderr, /^Error: no server takes commands at ".*a\.ctl": there is no such socket\n$/)
  assert.equal(nobody.code, 1)
  writeFileSync(join(dir, 'a.ctl'), '')
  assert.match((await control(t, ['-s', join(dir, 'a.ctl')])).stderr, /is no socket\n$/)
  for (const args of [['--bogus'], ['-s'], ['-c', '"'], ['-jx'], [''], ['--json=1'], ['-']]) {
    const { code, stderr } = await control(t, args)
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, /^portico control: /)
  }
  const help = await control(t, ['--help'])
  assert.equal(help.code, 0)
  assert.match(help.stdout, /^Usage: portico control .*\n/)
})

test('through a link named gunicornc it is Gunicorn’s client', async t => {
  if (!needs(t, 'python3')) return
  const { path } = await controlled(t)
  const link = join(tempDir(t), 'gunicornc')
  symlinkSync(PORTICO, link)
  const shown = await control(t, ['-s', path, '-c', 'show listeners', '-j'], '', [link])
  assert.equal(JSON.parse(shown.stdout).count, 1)
  const version = await control(t, ['--version'], '', [link])
  assert.match(version.stdout, /^gunicornc \(portico [\d.]+\)\n$/)
})
