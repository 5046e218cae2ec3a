// One sync worker and applications that do less, more or other than PEP 3333 says; they are in apps/edges.py.

import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { isMissing } from '../helpers/needs.ts'
import test from '../helpers/python-test.ts'
import { atEnd } from '../helpers/scope.ts'
import { Front, serve, type Zygote } from './front.ts'

const file = { after }
atEnd(file, () => {}) // asked for here, since inside a hook or a test it would be that one's end
let front: Front
let zygote: Zygote

before(async () => {
  if (isMissing('python3')) return
  ;({ front, zygote } = await serve(file, { module: 'edges' }))
})

/** What was logged since the last look. */
function logged(of = front): string {
  return of.logs
    .splice(0)
    .map(log => log.text)
    .join('\n')
}

test('wsgi edges: a length said twice is said once, two lengths are an error, and that of no body is dropped', async () => {
  const twice = await front.get('/length-twice')
  assert.deepEqual([twice.headers, twice.body], [{ 'content-length': '5' }, 'hello'])
  assert.equal((await front.get('/lengths-differ')).status, '500 Internal Server Error')
  assert.match(logged(), /Content-Length "6" is not one number/)
  const nothing = await front.get('/length-of-nothing')
  assert.deepEqual([nothing.status, nothing.headers, nothing.whole], ['204 No Content', { 'x-name': 'v' }, true])
})

test('wsgi edges: a response without start_response() is a 500 that says so, whatever it is made of', async () => {
  for (const path of ['/unstarted-list', '/unstarted-parts', '/unstarted-nothing']) {
    assert.equal((await front.get(path)).status, '500 Internal Server Error', path)
    assert.match(logged(), /did not call start_response\(\) before its response began/, path)
  }
})

test('wsgi edges: nothing at all where a length was promised is a failed response', async () => {
  const answer = await front.get('/too-short')
  assert.deepEqual([answer.status, answer.failed, answer.body], ['200 OK', true, ''])
  assert.match(logged(), /declared a Content-Length of 5 and sent 5 bytes less/)
})

test('wsgi edges: what can be indexed is iterable, what cannot be iterated is an error', async () => {
  assert.equal((await front.get('/old-kind')).body, 'ab')
  assert.equal((await front.get('/number')).status, '500 Internal Server Error')
  assert.match(logged(), /returned int, which is not iterable/)
  const body = Buffer.from('1234567')
  const indexed = await front.get('/wrapped-by-index', { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '7' }, body)
  assert.equal(indexed.body, '123|456|7')
})

test('wsgi edges: wsgi.errors is a file that takes text, stays open, and leaves what threads write to standard error', async () => {
  assert.equal((await front.get('/errors-of-bytes')).body, 'wsgi.errors takes str, not bytes')
  assert.equal((await front.get('/errors-as-file')).body, '[True, False, False, False, False]')
  assert.deepEqual(logged().split('\n'), ['one', 'two', 'still open'])
  await eventually(() => zygote.stderr.includes('of a thread'))
})

test('wsgi edges: words of an error that would fill the log are cut', async () => {
  assert.equal((await front.get('/long-words')).status, '500 Internal Server Error')
  const text = logged()
  assert.match(text, /^error in application "edges": ValueError: long long/)
  assert.ok(text.endsWith('... (cut)'))
  assert.equal(Buffer.byteLength(text), 256 * 1024 + '... (cut)'.length)
})

test('wsgi edges: SystemExit of close() ends the worker, behind the response', async t => {
  const held = await serve(t, { module: 'edges' })
  const whole = await held.front.get('/held-then-leaves')
  assert.deepEqual([whole.status, whole.body, whole.failed], ['200 OK', 'held', false])
  const { status, signal } = await held.zygote.next('exited')
  assert.deepEqual([status, signal, held.front.bye], [0, 0, true])

  const failing = await serve(t, { module: 'edges' })
  assert.equal((await failing.front.get('/fails-then-leaves')).status, '500 Internal Server Error')
  assert.equal((await failing.zygote.next('exited')).status, 0)
  assert.match(logged(failing.front), /TypeError/)
})
