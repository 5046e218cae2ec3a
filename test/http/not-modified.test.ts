import assert from 'node:assert/strict'
import test from 'node:test'
import { checkPreconditions, matches, type DateRule } from '../../src/http/not-modified.ts'
import type { HttpRequest } from '../../src/http/request.ts'

const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT'
const LATER = 'Mon, 07 Nov 1994 08:49:37 GMT'
const EARLIER = 'Sat, 05 Nov 1994 08:49:37 GMT'

function check(
  headers: Readonly<Record<string, string>>,
  rule: DateRule = 'exact',
  etag = '"abc"',
  lastModified = DATE,
): number {
  const r = { lastModified, etag, header: (name: string) => headers[name] ?? null }
  return checkPreconditions(r as unknown as HttpRequest, rule)
}

test('If-Modified-Since: exact wants the very date, before takes later ones too, off none', () => {
  assert.equal(check({ 'if-modified-since': DATE }), 304)
  assert.equal(check({ 'if-modified-since': LATER }), 0)
  assert.equal(check({ 'if-modified-since': LATER }, 'before'), 304)
  assert.equal(check({ 'if-modified-since': EARLIER }, 'before'), 0)
  assert.equal(check({ 'if-modified-since': DATE }, 'off'), 0)
  assert.equal(check({ 'if-modified-since': 'nonsense' }), 0)
  assert.equal(check({ 'if-modified-since': DATE }, 'exact', '"abc"', ''), 0)
})

test('If-None-Match and If-Modified-Since must both agree', () => {
  assert.equal(check({ 'if-none-match': '"abc"' }), 304)
  assert.equal(check({ 'if-none-match': '"x"' }), 0)
  assert.equal(check({ 'if-none-match': '"abc"', 'if-modified-since': DATE }), 304)
  assert.equal(check({ 'if-none-match': '"x"', 'if-modified-since': DATE }), 0)
  assert.equal(check({ 'if-none-match': '"abc"', 'if-modified-since': LATER }), 0)
})

test('If-Match and If-Unmodified-Since: 412 when they do not hold', () => {
  assert.equal(check({ 'if-match': '"abc"' }), 0)
  assert.equal(check({ 'if-match': '"x"' }), 412)
  assert.equal(check({ 'if-match': 'W/"abc"' }), 412)
  assert.equal(check({ 'if-unmodified-since': DATE }), 0)
  assert.equal(check({ 'if-unmodified-since': LATER }), 0)
  assert.equal(check({ 'if-unmodified-since': EARLIER }), 412)
  assert.equal(check({ 'if-unmodified-since': 'nonsense' }), 412)
})

test('lists of tags: blanks, weak ones, the star', () => {
  assert.ok(matches('"x", "abc"', '"abc"', 'weak'))
  assert.ok(matches('"x" ,, W/"abc" , "y"', '"abc"', 'weak'))
  assert.ok(matches('"abc"', 'W/"abc"', 'weak'))
  assert.ok(!matches('"abc"', 'W/"abc"', 'strong'))
  assert.ok(matches('*', '', 'weak'))
  assert.ok(!matches('"abcd"', '"abc"', 'weak'))
  assert.ok(!matches('"abc"x', '"abc"', 'weak'))
  assert.ok(!matches('"x"', '', 'weak'))
})
