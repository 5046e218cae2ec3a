import assert from 'node:assert/strict'
import test from 'node:test'
import { Template } from '../../../src/config/template.ts'
import { escapeNamed, LogFormat, type Escape } from '../../../src/http/log/log-format.ts'
import type { HttpRequest } from '../../../src/http/request.ts'
import type { HttpSetup } from '../../../src/http/setup.ts'

const setup = {
  variable: (name: string) => ({ get: (r: HttpRequest) => (r as unknown as Record<string, string>)[name] ?? null }),
} as unknown as HttpSetup

function line(text: string, values: Readonly<Record<string, string>>, escape: Escape = 'default'): string {
  return new LogFormat(Template.builtIn(text), escape, setup).line(values as unknown as HttpRequest)
}

test('text and variables in turn; what does not exist is a dash', () => {
  assert.equal(line('[$a] "$b"$a', { a: 'x' }), '[x] "-"x\n')
  assert.equal(line('plain', {}), 'plain\n')
  assert.equal(line('$a', { a: '' }), '\n')
})

test('default: quotes, backslashes, controls and everything from 7F on become \\xHH', () => {
  assert.equal(line('$a', { a: 'a"b\\c\x00\n\x1f\x7f\xe4\xff~ !' }), 'a\\x22b\\x5Cc\\x00\\x0A\\x1F\\x7F\\xE4\\xFF~ !\n')
})

test('json: only what JSON demands, and nothing for what does not exist', () => {
  assert.equal(line('{"a":"$a","b":"$b"}', { a: 'q"\\\n\x01\xe4' }, 'json'), '{"a":"q\\"\\\\\\n\\u0001\xe4","b":""}\n')
})

test('none: as it is', () => {
  assert.equal(line('$a$b', { a: '"\x00' }, 'none'), '"\x00\n')
})

test('an unknown escaping is refused in the words of nginx', () => {
  assert.throws(() => escapeNamed('xml', { file: 'x', line: 1, order: 1 }), /unknown log format escaping "xml"/)
})
