import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import test from 'node:test'
import { errorText, ownCall } from '../../src/lib/errno.ts'

test("errors are told in the C library's words", () => {
  try {
    openSync('/nowhere/at/all', 'r')
    assert.fail('it opened')
  } catch (error) {
    assert.equal(errorText(error as NodeJS.ErrnoException), '2: No such file or directory')
  }
})

test('what a connection has failed in may have been a call for a socket of our own', () => {
  const failed = (code: string, syscall: string): string => ownCall(Object.assign(new Error(code), { code, syscall }))
  assert.equal(failed('EADDRNOTAVAIL', 'bind'), 'bind')
  assert.equal(failed('EMFILE', 'bind'), 'socket')
  assert.equal(failed('ENFILE', 'connect'), 'socket')
  assert.equal(failed('ECONNREFUSED', 'connect'), '')
  assert.equal(failed('ECONNRESET', 'read'), '')
})
