// Files that a worker names, and what becomes of their descriptors.

import assert from 'node:assert/strict'
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { AppExchange } from '../../src/http/app/exchange.ts'
import type { AppPass } from '../../src/http/app/pass.ts'
import type { HttpRequest } from '../../src/http/request.ts'
import { tempDir } from '../helpers/index.ts'

const SIZE = 100_000

test('a file that is not what the worker has said, or of which nothing is sent, is closed', t => {
  const path = join(tempDir(t), 'big')
  writeFileSync(path, Buffer.alloc(SIZE))
  const open = (): boolean =>
    readdirSync('/proc/self/fd').some(fd => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === path
      } catch {
        // The one that reads the folder.
        return false
      }
    })
  for (const [bodiless, length] of [
    [false, SIZE + 1],
    [true, SIZE],
    [false, 0],
  ] as const) {
    const calls: string[] = []
    const r = {
      slots: [],
      headSent: true,
      bodiless,
      log: () => calls.push('log'),
      stream: { abort: () => calls.push('abort') },
      out: { write: () => calls.push('write') },
    } as unknown as HttpRequest
    new AppExchange(r, { buffering: false, app: { isSticky: false } } as AppPass).onFile(path, 0, length)
    assert.deepEqual(calls, length > SIZE ? ['log', 'abort'] : ['write'])
    assert.equal(open(), false, `${bodiless} ${length}`)
  }
})
