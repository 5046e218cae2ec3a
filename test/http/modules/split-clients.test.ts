import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { request, serve, type Server } from '../../helpers/index.ts'
import { murmurHash2 } from '../../../src/lib/murmur-hash.ts'

const file = { after }
const server: Server = await serve(
  file,
  `http {
    split_clients "$arg_a" $part { 0.5% tiny; 50% half; * rest; }
    split_clients "$arg_a" $some { 10% few; }
    server { listen 127.0.0.1:%%PORT_0%%; return 200 "$part|$some"; }
  }`,
)

test('split_clients: parts in proportion, and nothing for what is in none', async () => {
  const seen = new Map<string, string>()
  for (let i = 0; i < 60; i++) {
    const { body } = await request({ address: server.port, path: `/?a=${i}` })
    const share = murmurHash2(`${i}`) / 0xffffffff
    const part = share < 0.005 ? 'tiny' : share < 0.505 ? 'half' : 'rest'
    assert.equal(body.toString(), `${part}|${share < 0.1 ? 'few' : ''}`)
    seen.set(part, '')
  }
  assert.ok(seen.has('half') && seen.has('rest'))
})
