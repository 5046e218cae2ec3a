import assert from 'node:assert/strict'
import test from 'node:test'
import { HostTable } from '../../src/lib/host-table.ts'

test('hosts: exact before the longest wildcard in front before the longest behind', () => {
  const table = new HostTable<string>()
  for (const name of ['a.example.org', '*.example.org', '*.b.example.org', '.own.org', 'www.example.*', 'example.*']) {
    assert.equal(table.add(name, name), null)
  }
  const found = (host: string): string | undefined => table.find(host)
  assert.equal(found('a.example.org'), 'a.example.org')
  assert.equal(found('x.example.org'), '*.example.org')
  assert.equal(found('x.y.b.example.org'), '*.b.example.org')
  assert.equal(found('own.org'), '.own.org')
  assert.equal(found('x.own.org'), '.own.org')
  assert.equal(found('www.example.com'), 'www.example.*')
  assert.equal(found('example.com'), 'example.*')
  assert.equal(found('example.org'), 'example.*')
  assert.equal(found('other.org'), undefined)
})

test('hosts: what is no host, and what is there already', () => {
  const table = new HostTable<number>()
  assert.equal(table.add('a.b', 1), null)
  assert.equal(table.add('A.b', 2), 'conflicting parameter "A.b"')
  for (const name of ['a*.b', 'a..b', '*', '*.*', '*.', '.*', 'a.*.b']) {
    assert.equal(table.add(name, 1), `invalid hostname or wildcard "${name}"`)
  }
})
