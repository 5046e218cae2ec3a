// Which processors the front's threads run on, how nice they are and what they may have, as the kernel tells it.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { availableParallelism, cpus, getPriority } from 'node:os'
import test from 'node:test'
import { cpusFor } from '../../src/cli/cpu-affinity.ts'
import { eventually, needsOtherUsers, processTree, raw, serve } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'

const asRoot = process.getuid!() === 0
const http = 'http { server { listen 127.0.0.1:%%PORT_0%%; return 200 hello; } }'

async function frontOf(server: Server): Promise<number> {
  const front = await eventually(() => processTree(server.pid).find(one => one.command.includes('front process')))
  return front!.pid
}

const limits = (pid: number): string => readFileSync(`/proc/${pid}/limits`, 'latin1')

/** A field of all the process's threads, in /proc/PID/task/TID/status. */
function ofThreads(pid: number, field: string): string[] {
  return readdirSync(`/proc/${pid}/task`).map(tid => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1')
    return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)![1]!
  })
}

const niceness = (pid: number, tid: string): number =>
  Number(
    readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')[16],
  )

test('worker_cpu_affinity: a mask for each thread, or the processors of one in turn', () => {
  const [a, b] = [[0], [0, 2]]
  assert.equal(cpusFor(null, 0), null)
  assert.deepEqual(
    [0, 1, 2].map(i => cpusFor({ auto: false, masks: [a, b] }, i)),
    [a, b, b],
  )
  assert.deepEqual(
    [0, 1, 2].map(i => cpusFor({ auto: true, masks: [b] }, i)),
    [[0], [2], [0]],
  )
  assert.equal(cpusFor({ auto: true, masks: [[]] }, 0), null)
})

test('worker_cpu_affinity: each thread of the front is bound, and no other', async t => {
  const own = ofThreads(process.pid, 'Cpus_allowed_list')[0]!
  // A container may be given others than the first.
  if (!/^0\b/.test(own) || availableParallelism() < cpus().length) return t.skip('needs all processors')
  const server = await serve(t, `worker_processes 2; worker_cpu_affinity 1; events {} ${http}`)
  const front = await frontOf(server)
  assert.match(server.errorLog(), /\[notice\] \d+#\d+: sched_setaffinity\(\): using cpu #0\n/)
  const bound = (): number => ofThreads(front, 'Cpus_allowed_list').filter(list => list === '0').length
  if (availableParallelism() > 1) assert.equal(bound(), 2)
  // Their successors are, too.
  await server.reload()
  const client = await raw(t, server.ports[0]!)
  assert.equal((await client.request()).text, 'hello')
  if (availableParallelism() > 1) await eventually(() => bound() === 2)
})

test('worker_cpu_affinity: a processor that is not there is an alert, and the thread runs all the same', async t => {
  const server = await serve(t, `worker_cpu_affinity 1${'0'.repeat(1000)}; events {} ${http}`)
  const client = await raw(t, server.ports[0]!)
  assert.equal((await client.request()).text, 'hello')
  assert.match(server.errorLog(), /\[alert\] .*: sched_setaffinity\(\) failed \(22: Invalid argument\)\n/)
})

test('worker_priority: all threads of the front are as nice', async t => {
  const own = getPriority()
  if (own >= 19) return t.skip('nobody is nicer')
  const server = await serve(t, `worker_processes 2; worker_priority ${own + 1}; events {} ${http}`)
  const front = await frontOf(server)
  for (const tid of readdirSync(`/proc/${front}/task`)) assert.equal(niceness(front, tid), own + 1)
  assert.equal(niceness(server.pid, String(server.pid)), own)
})

test('working_directory: the front is there, the master where it was', async t => {
  const server = await serve(t, `working_directory /proc; events {} ${http}`)
  assert.equal(readlinkSync(`/proc/${await frontOf(server)}/cwd`), '/proc')
  assert.notEqual(readlinkSync(`/proc/${server.pid}/cwd`), '/proc')
})

test('worker_rlimit_nofile, worker_rlimit_core: the front has those limits, the master its own', async t => {
  const before = /^Max core file size .*/m.exec(limits(process.pid))![0]
  if (/\s0\s+0\s/.test(before) && !asRoot) return t.skip('may have no cores')
  const server = await serve(t, `worker_rlimit_nofile 1000; worker_rlimit_core 1k; events {} ${http}`)
  const front = await frontOf(server)
  assert.match(limits(front), /^Max open files\s+1000\s+1000\s/m)
  assert.match(limits(front), /^Max core file size\s+1024\s+1024\s/m)
  assert.ok(limits(server.pid).includes(before))
})

test('worker_rlimit_core: a front that is not root any more may leave a core', async t => {
  if (!needsOtherUsers(t)) return
  const server = await serve(t, `user nobody nogroup; worker_rlimit_core 1k; events {} ${http}`)
  const front = await frontOf(server)
  const status = (name: string): string[] => ofThreads(front, name)
  assert.match(status('Uid')[0]!, /^(?!0\t)/)
  // What cannot be dumped is root's.
  assert.notEqual(statSync(`/proc/${front}/environ`).uid, 0)
})

test('proxy_bind transparent: a front that is not root any more may use any address all the same, and nothing else', async t => {
  if (!needsOtherUsers(t)) return
  const proxied =
    'http { server { listen 127.0.0.1:%%PORT_0%%; proxy_bind $remote_addr transparent; return 200 hello; } }'
  const server = await serve(t, `user nobody nogroup; worker_processes 2; events {} ${proxied}`)
  const front = await frontOf(server)
  assert.ok(ofThreads(front, 'Uid').every(uids => !uids.split('\t').includes('0')))
  // CAP_NET_RAW, of the main thread and of the two that take connections.
  const able = ofThreads(front, 'CapEff').filter(bits => BigInt(`0x${bits}`) === 1n << 13n)
  assert.ok(able.length >= 3, `${able.length} threads`)
  assert.ok(ofThreads(front, 'CapPrm').every(bits => (BigInt(`0x${bits}`) & ~(1n << 13n)) === 0n))
})
