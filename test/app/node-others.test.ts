// Servers that an application has beside the one that gets the requests.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { othersListening, takeListen } from '../../src/app/workers/listening.ts'

test('what has not come to listen, or listens no more, is held by nothing', async t => {
  const busy = net.createServer().listen(0, '127.0.0.1')
  t.after(() => busy.close())
  await once(busy, 'listening')
  const { port } = busy.address() as net.AddressInfo
  const nothing = (): void => {}
  takeListen({ path: '', port: '', serves: nothing, failed: nothing, notes: nothing, closed: nothing })
  for (let i = 0; i < 3; i++) {
    await once(net.createServer().listen(port, '127.0.0.1'), 'error')
    assert.equal(othersListening(), '')
  }
  const stubborn = net.createServer()
  for (let i = 0; i < 3; i++) await once(stubborn.listen(port, '127.0.0.1'), 'error')
  assert.equal(stubborn.listenerCount('close'), 1)
  await once(stubborn.listen(0, '127.0.0.1'), 'listening')
  assert.notEqual(othersListening(), '')
  await once(stubborn.close(), 'close')
  assert.equal(othersListening(), '')
})
