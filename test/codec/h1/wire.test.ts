// The files of test/wire: whole messages, good and bad. A bad one's name begins with the status it is refused with.

import test from 'node:test'
import assert from 'node:assert/strict'
import { arrivals, feedChunks, feedRequest, readRequest, STRANGER, wireFiles } from './feeding.ts'

for (const { name, bytes } of wireFiles('valid')) {
  test(`wire: ${name} is read to its last byte, however it arrives and whatever follows`, () => {
    assert.equal(readRequest(bytes), bytes.length)
    assert.equal(readRequest(Buffer.concat([bytes, STRANGER])), bytes.length)
    const whole = feedRequest(bytes, [bytes.length])
    for (const arrival of arrivals(bytes.length)) assert.deepEqual(feedRequest(bytes, arrival), whole)
    const body = bytes.subarray(whole.answer)
    if (!('chunked' in whole) || !whole.chunked) return
    const decoded = feedChunks(body, [body.length])
    for (const arrival of arrivals(body.length)) assert.deepEqual(feedChunks(body, arrival), decoded)
  })
}

for (const { name, bytes } of wireFiles('invalid')) {
  test(`wire: ${name} is refused, however it arrives and whatever follows`, () => {
    const status = -Number(name.slice(0, 3))
    assert.equal(readRequest(bytes), status)
    assert.equal(readRequest(Buffer.concat([bytes, STRANGER])), status)
    const whole = feedRequest(bytes, [bytes.length])
    for (const arrival of arrivals(bytes.length)) assert.deepEqual(feedRequest(bytes, arrival), whole)
    if (whole.answer < 0) return assert.notEqual(whole.error, '')
    const body = bytes.subarray(whole.answer)
    const refused = feedChunks(body, [body.length])
    assert.equal(refused.answer, -1)
    for (const arrival of arrivals(body.length)) {
      const { answer, error } = feedChunks(body, arrival)
      assert.deepEqual({ answer, error }, { answer: -1, error: refused.error })
    }
  })
}
