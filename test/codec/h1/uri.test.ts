import test from 'node:test'
import assert from 'node:assert/strict'
import { escapeUri, parseRawUri, parseUri, unescapeUri, Uri } from '../../../src/codec/h1/uri.ts'
import type { EscapeKind } from '../../../src/codec/h1/uri.ts'

const PATHS: [target: string, uri: string | null, args?: string, unmerged?: string | null][] = [
  ['/', '/'],
  ['/a/b.c', '/a/b.c'],
  ['/a?b=c?d', '/a', 'b=c?d'],
  ['/a?', '/a', ''],
  ['/a#b?c', '/a', ''],
  ['/a?b#c', '/a', 'b'],
  ['?x=1', '/', 'x=1'],
  ['/a%20b%2Fc', '/a b/c'],
  ['/%e4%C3', '/\xe4\xc3'],
  ['/a%25b%3fc%23d?e%20f', '/a%b?c#d', 'e%20f'],
  ['/a/./b/.', '/a/b/'],
  ['/a/b/../c', '/a/c'],
  ['/a/b/..', '/a/'],
  ['/a/..?x', '/', 'x'],
  ['/a/%2e%2E/b', '/b'],
  ['/a%2f../b', '/b'],
  ['/a/.../b', '/a/.../b'],
  ['/.a/..b/', '/.a/..b/'],
  ['/a//b///c', '/a/b/c', '', '/a//b///c'],
  ['//', '/', '', '//'],
  ['/a//../b', '/b', '', '/a/b'],
  ['/..', null],
  ['/a/../../b', null],
  ['/%2e%2e/', null],
  ['/a%00b', null],
  ['/a%', null],
  ['/a%4', null],
  ['/a%4?', null],
  ['/a%zz', null],
]
for (const [target, want, args = '', unmerged = want] of PATHS) {
  test(`uri: ${target} is ${want ?? 'refused'}`, () => {
    const uri = new Uri()
    assert.equal(parseUri(target, true, uri) ? uri.uri : null, want)
    if (want !== null) assert.equal(uri.args, args)
    assert.equal(parseUri(target, false, uri) ? uri.uri : null, unmerged)
  })
}

test('uri: raw, nothing is resolved or refused', () => {
  for (const [target, path, args = '', complex = path !== target] of [
    ['/a', '/a', '', false],
    ['/a/../../b//./', '/a/../../b//./', '', false],
    ['/%2e%2E/%00%4%zz%', '/../\0%4%zz%'],
    ['/a%3fb?c%zz#d?e', '/a?b', 'c%zz'],
    ['/../?#a', '/../', '', false],
    ['?x', '/', 'x', false],
    ['*', '*', '', false],
  ] as const) {
    const uri = new Uri()
    parseRawUri(target, uri)
    assert.deepEqual([uri.uri, uri.args, uri.complex], [path, args, complex], target)
  }
})

test('uri: a path longer than the scratch space is normalised too', () => {
  const uri = new Uri()
  assert.ok(parseUri(`/%41${'b'.repeat(20000)}`, true, uri))
  assert.equal(uri.uri, `/A${'b'.repeat(20000)}`)
})

test('uri: each kind of escaping escapes what nginx escapes', () => {
  const cases: [kind: EscapeKind, escaped: string][] = [
    ['uri', "/a%20b%3Fc%23d%25&+;=%22'(~)%E4%00"],
    ['args', "/a%20b%3Fc%23d%25%26%2B%3B=%22'(~)%E4%00"],
    ['component', '%2Fa%20b%3Fc%23d%25%26%2B%3B%3D%22%27%28~%29%E4%00'],
    ['html', '/a%20b?c%23d%25&+;=%22%27(~)%E4%00'],
    ['refresh', '/a%20b?c#d%&+;=%22%27(%7E)%E4%00'],
    ['memcached', '/a%20b?c#d%25&+;="\'(~)\xe4%00'],
    ['xtext', '/a+20b?c#d%&+2B;+3D"\'(~)+E4+00'],
  ]
  for (const [kind, escaped] of cases) assert.equal(escapeUri('/a b?c#d%&+;="\'(~)\xe4\0', kind), escaped)
  assert.equal(escapeUri('\\^`{|}<>', 'refresh'), '%5C%5E%60%7B%7C}%3C%3E')
  assert.equal(escapeUri('/plain', 'uri'), '/plain')
})

test('uri: unescaping undoes escaping and leaves what is no encoding', () => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i))
  for (const kind of ['uri', 'args', 'component', 'memcached'] as const)
    assert.equal(unescapeUri(escapeUri(all, kind)), all)
  assert.equal(unescapeUri('%4%zz%41%'), '%4%zzA%')
})
