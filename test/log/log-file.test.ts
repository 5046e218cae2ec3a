// Logs that cannot be written: pipes nobody reads, and full disks. Nobody waits for them.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { atEnd, eventually, tempDir } from '../helpers/index.ts'
import type { Scope } from '../helpers/index.ts'
import { AccessLogFile } from '../../src/http/log/access-log-file.ts'
import { LogFiles } from '../../src/log/error-log.ts'
import { LogFile } from '../../src/log/log-file.ts'

const LINE = 'x'.repeat(99) + '\n'
const source = new URL('../../src/log/log-file.ts', import.meta.url).href

function pipe(t: Scope): string {
  const path = join(tempDir(t), 'pipe')
  execFileSync('mkfifo', [path])
  return path
}

/** All that comes until nothing has come for a while. */
async function drain(path: string): Promise<string> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const bytes = Buffer.alloc(65536)
  let text = ''
  let silent = 0
  await eventually(() => {
    for (;;) {
      try {
        const count = readSync(fd, bytes)
        text += bytes.toString('latin1', 0, count)
        silent = 0
      } catch {
        return ++silent > 10
      }
    }
  })
  closeSync(fd)
  return text
}

test('what a pipe has no room for is kept for its reader', async t => {
  const path = pipe(t)
  const told: string[] = []
  const file = new LogFile(path, problem => told.push(problem))
  atEnd(t, () => file.close())
  for (let i = 0; i < 4000; i++) file.write(LINE)
  assert.equal(await drain(path), LINE.repeat(4000))
  file.write('again\n')
  assert.equal(await drain(path), 'again\n')
  assert.deepEqual(told, [])
})

test('what is beyond a limit is lost in whole lines, which is told once', async t => {
  const path = pipe(t)
  const told: string[] = []
  const file = new LogFile(path, problem => told.push(problem))
  atEnd(t, () => file.close())
  for (let i = 0; i < 20_000; i++) file.write(LINE)
  assert.deepEqual(told, [`write() to "${path}" had to wait for its reader: lines are lost`])
  const text = await drain(path)
  assert.equal(text, LINE.repeat(text.length / 100))
  assert.ok(text.length > 1_000_000 && text.length < 2_000_000, `${text.length}`)
})

test(
  'a full disk is told of once',
  { skip: !existsSync('/dev/full') && 'needs /dev/full, a disk that is always full' },
  () => {
    const told: string[] = []
    const file = new LogFile('/dev/full', problem => told.push(problem))
    for (let i = 0; i < 3; i++) file.write(LINE)
    file.close()
    assert.deepEqual(told, ['write() to "/dev/full" failed (28: No space left on device)'])
  },
)

test('nobody waits for the reader of standard output, who gets all of it in the end', async t => {
  const code = `const { LogFile } = await import(${JSON.stringify(source)})
    const file = new LogFile('/dev/stdout')
    for (let i = 0; i < 3000; i++) file.write('x'.repeat(99) + '\\n')
    process.stderr.write('done')
    setInterval(() => {}, 1000)`
  // A pipe, which Node's own children have no more.
  const child = spawn(
    '/bin/sh',
    ['-c', '"$0" --input-type=module -e "$1" | (read -r line <&3; cat)', process.execPath, code],
    {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    },
  )
  atEnd(t, () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
  })
  let length = 0
  child.stdout!.on('data', bytes => (length += bytes.length))
  const [said] = (await once(child.stderr!, 'data')) as [Buffer]
  assert.match(said.toString(), /done/)
  assert.equal(length, 0)
  ;(child.stdio[3] as NodeJS.WritableStream).write('read\n')
  await eventually(() => length === 300_000)
})

test('buffered lines of before a rotation are in the old file', t => {
  const path = join(tempDir(t), 'access.log')
  const files = new LogFiles()
  atEnd(t, () => files.close())
  const log = new AccessLogFile(path, { size: 4096, flushMs: 0, gzip: 0 })
  log.open(files)
  log.append('before\n')
  renameSync(path, `${path}.1`)
  assert.deepEqual(files.reopen(), [])
  log.append('behind\n')
  log.flush()
  files.flush()
  assert.deepEqual([readFileSync(`${path}.1`, 'latin1'), readFileSync(path, 'latin1')], ['before\n', 'behind\n'])
})

test('at the end a reader that is slow gets the rest', async () => {
  const code = `const { LogFile } = await import(${JSON.stringify(source)})
    const file = new LogFile('/dev/stdout')
    for (let i = 0; i < 9000; i++) file.write('x'.repeat(99) + '\\n')
    file.settle()
    process.exit(0)`
  const command = '"$0" --input-type=module -e "$1" | wc -c'
  const child = spawn('/bin/sh', ['-c', command, process.execPath, code], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  assert.equal(Number(said.toString()), 900_000)
})
