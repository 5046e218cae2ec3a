import assert from 'node:assert/strict'
import test from 'node:test'
import { legacyName, rfc2253Name } from '../../../src/http/ssl/distinguished-name.ts'

test('a name in its two forms, the last part first and the first one first', () => {
  const lines = 'C=DE\nO=A\\, B\nCN=Zoë'
  assert.equal(rfc2253Name(lines), 'CN=Zo\\C3\\AB,O=A\\, B,C=DE')
  assert.equal(legacyName(lines), '/C=DE/O=A, B/CN=Zo\\xC3\\xAB')
  assert.equal(rfc2253Name(undefined), '')
  assert.equal(legacyName(''), '')
})

test('parts that make one together are joined by a plus, and a plus in a value joins nothing', () => {
  const lines = 'C=DE\nL=X + ST=Y\nCN=a \\+ b'
  assert.equal(rfc2253Name(lines), 'CN=a \\+ b,ST=Y+L=X,C=DE')
  assert.equal(legacyName(lines), '/C=DE/L=X+ST=Y/CN=a + b')
})
