import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import test from 'node:test'
import { errorText } from '../../src/lib/errno.ts'

test("errors are told in the C library's words", () => {
  try {
    openSync('/nowhere/at/all', 'r')
    assert.fail('it opened')
  } catch (error) {
    assert.equal(errorText(error as NodeJS.ErrnoException), '2: No such file or directory')
  }
})
