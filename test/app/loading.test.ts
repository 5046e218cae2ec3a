// Applications that hang, die or take away descriptors while they are loaded.

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { tempDir, writeFiles } from '../helpers/temp-dir.ts'
import { isAlive, run, serving } from './pools.ts'

const HANGS = `import os, time
if os.path.exists('hang'):
    time.sleep(1000)
def application(environ, start_response): pass
`

for (const preload of [true, false]) {
  test(`loading (preload ${preload}): an application that hangs is told of once, with the process that it hangs in`, async t => {
    const directory = tempDir(t)
    writeFiles(directory, { 'hangs.py': HANGS, hang: '' })
    const { pool, log } = run(t, { directory, module: 'hangs:application', workers: 1, preload, timeout: 300 })
    const told = (): string[] =>
      log.filter(line => / still loads "hangs:application" after 0\.3 seconds: "kill /.test(line))
    // The process that forks the workers may itself have been slow to come up.
    await eventually(() => told().some(line => preload || line.includes('worker process')))
    const pid = Number(/process (\d+) still/.exec(told().at(-1)!)![1])
    assert.ok(isAlive(pid))
    rmSync(join(directory, 'hang'))
    // As the line says.
    process.kill(pid, 'SIGABRT')
    await serving(pool, 1)
    assert.equal(log.filter(line => line.includes(`process ${pid} still`)).length, 1)
  })

  test(`loading (preload ${preload}): one that closes all descriptors is told so`, async t => {
    const directory = tempDir(t)
    writeFiles(directory, { 'closes.py': 'import os\nos.closerange(3, 256)\ndef application(e, s): pass\n' })
    const { pool } = run(t, { directory, module: 'closes:application', workers: 1, preload })
    assert.match(await pool.loaded, /^cannot load "closes:application": .*clos.* not its own$/)
  })

  test(`loading (preload ${preload}): a reload does not wait for one that dies again and again`, async t => {
    const directory = tempDir(t)
    writeFiles(directory, { 'dies.py': 'import os\nos._exit(7)\n' })
    const { pool } = run(t, { directory, module: 'dies:application', workers: 1, preload }, 2)
    assert.match(await pool.loaded, /exited with code 7/)
  })
}

test('loading: a worker that takes far longer than another has taken is aborted, and there is another try', async t => {
  const directory = tempDir(t)
  writeFiles(directory, { 'hangs.py': HANGS })
  const { pool, log } = run(t, { directory, module: 'hangs:application', workers: 1, preload: false, timeout: 100 })
  const [first] = await serving(pool, 1)
  writeFileSync(join(directory, 'hang'), '')
  process.kill(first!, 'SIGKILL')
  await eventually(() => log.some(line => line.includes('seconds and is aborted')))
  const second = Number(/process (\d+) has not loaded/.exec(log.find(line => line.includes('has not loaded'))!)![1])
  rmSync(join(directory, 'hang'))
  const [third] = await serving(pool, 1)
  assert.ok(third !== first && third !== second)
  await eventually(() => !isAlive(second))
})
