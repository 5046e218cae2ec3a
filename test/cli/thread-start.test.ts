// A front thread that cannot start leaves nothing open: its descriptors are the process's, which lives on.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { compile, parse } from '../../src/cli/configuration.ts'
import { invocationOf } from '../../src/cli/invocation.ts'
import { FileSource } from '../../src/config/source.ts'
import { bindUdp } from '../../src/net/udp-socket.ts'
import type { FromThread, ToThread } from '../../src/process/messages.ts'
import { dup } from '../../src/process/libc.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const conf = `
  daemon off; error_log error.log; events {}
  http { limit_req_zone $uri zone=z:32k rate=1r/s; server { listen 127.0.0.1:1001; limit_req zone=z; } }
  stream { server { listen 127.0.0.1:1002 udp; proxy_pass 127.0.0.1:1; } server { listen 127.0.0.1:1003; return x; } }`

test('a thread that cannot start closes what it was to listen on', async t => {
  const dir = tempDir(t)
  const file = join(dir, 'portico.conf')
  writeFileSync(file, conf)
  const invocation = invocationOf({ prefix: dir, file, directives: '', errorLog: 'error.log' })
  const source = new FileSource()
  const parsed = parse(source, invocation)
  const { http, stream } = compile(source, parsed, invocation, false, () => {})
  const bound = new net.BoundSocket({ host: '127.0.0.1', port: 0 })
  t.after(() => bound.close())
  const addresses = [...http.listens, ...stream.listens]
  assert.equal(addresses.length, 3)
  const descriptors = addresses.map(
    ({ key, udp }) => [key, udp ? bindUdp('127.0.0.1', 0, false, false) : dup(bound.fd())] as const,
  )
  const sockets = descriptors.map(([, fd]) => socketAt(fd))
  const open = (): number => sockets.filter((socket, i) => socketAt(descriptors[i]![1]) === socket).length
  assert.equal(open(), 3)

  const thread = new Worker(new URL('../../src/cli/thread.ts', import.meta.url))
  t.after(() => thread.terminate())
  const data = { invocation, asRoot: false, bundle: source.bundle() }
  // The memory that it needs is missing.
  const tell = (order: ToThread): void => thread.postMessage(order) // oxlint-disable-line unicorn/require-post-message-target-origin -- no window
  tell({ type: 'start', order: { generation: 1, thread: 0, threads: 1, data, descriptors, memory: [] } })
  const [answer] = (await once(thread, 'message')) as [FromThread]
  assert.equal(answer.type, 'failed')
  tell({ type: 'stop' })
  await once(thread, 'exit')
  assert.equal(open(), 0)
})

/** Which socket a descriptor of ours is; '' for none. */
function socketAt(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}
