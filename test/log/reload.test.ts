import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'

const conf = (name: string): string => `
  error_log %%DIR%%/error.log notice;
  error_log %%DIR%%/${name}.log notice;
  worker_processes 1;
  http {
    access_log syslog:server=127.0.0.1:9;
    server { listen 127.0.0.1:%%PORT_0%%; return 200 ok; }
  }`

test('what a reload has opened for its logs the next one closes', async t => {
  const server = await serve(t, conf('first'))
  const threadsEnded = (): number => server.errorLog().match(/worker process \d+ exited with code 0/g)?.length ?? 0
  const reload = async (name: string): Promise<void> => {
    const before = threadsEnded()
    await server.reload(conf(name))
    await eventually(() => threadsEnded() > before)
    assert.equal((await get(server.port)).status, 200)
  }
  await reload('second')
  const front = server.processes().find(({ command }) => command.includes('front'))!.pid
  const before = openIn(front)
  for (const name of ['third', 'fourth', 'fifth']) await reload(name)
  await eventually(() => openIn(front).sockets <= before.sockets)
  const after = openIn(front)
  assert.deepEqual(after.logs, ['error.log', 'fifth.log'])
  assert.deepEqual(before.logs, ['error.log', 'second.log'])
})

/** Of a process: how many sockets, and which logs. */
function openIn(pid: number): { readonly sockets: number; readonly logs: string[] } {
  const targets = readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`)
    } catch {
      return []
    }
  })
  const logs = targets
    .filter(target => target.endsWith('.log'))
    .map(target => target.slice(target.lastIndexOf('/') + 1))
  return { sockets: targets.filter(target => target.startsWith('socket:')).length, logs: [...new Set(logs)].toSorted() }
}
