import assert from 'node:assert/strict'
import test from 'node:test'
import { connectionLost } from '../../../src/http/upstream/connection-lost.ts'
import { CONNECTING } from '../../../src/http/upstream/exchange-state.ts'
import type { Exchange } from '../../../src/http/upstream/exchange.ts'

test('without a descriptor for a connection no server is to blame, and none is tried', () => {
  const said: string[] = []
  const x = {
    state: CONNECTING,
    link: { handshaking: false, local: null },
    choice: { peer: { name: '127.0.0.1:80' } },
    action: () => 'connecting to upstream',
    log: (_level: number, message: string) => said.push(message),
    unconnected: (_level: number, problem: string) => said.push(`500: ${problem}`),
    failed: () => said.push('next'),
  } as unknown as Exchange
  const error = (code: string, errno: number): Error =>
    Object.assign(new Error(code), { code, errno, syscall: 'connect' })
  connectionLost(x, error('EMFILE', -24))
  assert.deepEqual(said.splice(0), ['500: socket() failed (24: Too many open files)'])
  connectionLost(x, error('ECONNREFUSED', -111))
  assert.deepEqual(said, ['connect() failed (111: Connection refused) while connecting to upstream', 'next'])
})
