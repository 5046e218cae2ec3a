import assert from 'node:assert/strict'
import test from 'node:test'
import { compileTemplate, Template } from '../../src/config/template.ts'

const place = { file: '/etc/c', line: 3, order: 0 }
const lookup = (name: string) => (name === 'no' ? null : (r: string) => `[${name}:${r}]`)
const expand = (text: string) => compileTemplate(Template.parse(text, place), lookup).get('r')

void test('text without variables is a constant', () => {
  for (const text of ['', 'abc', 'a{b}']) {
    const compiled = compileTemplate(Template.parse(text, place), lookup)
    assert.equal(compiled.constant, text)
    assert.equal(compiled.get('r'), text)
  }
})

void test('variables are letters, digits and underscores, in braces or not, in any case; captures are one digit', () => {
  assert.equal(expand('$Host'), '[host:r]')
  assert.equal(expand('a${b}c'), 'a[b:r]c')
  assert.equal(expand('$scheme://${http_x}_$1$10/$a-b'), '[scheme:r]://[http_x:r]_[1:r][1:r]0/[a:r]-b')
  assert.equal(expand('$a$b'), '[a:r][b:r]')
  assert.equal(expand('$a x'), '[a:r] x')
  assert.deepEqual(Template.parse('$a$B$a', place).variables(), ['a', 'b'])
})

void test('a name does not go on in the next word', () => {
  const joined = (...words: string[]): Template => Template.parseWords(words, place)
  assert.deepEqual(joined('$a', 'b', 'c$d', '', '$e').parts, [
    { variable: 'a' },
    'bc',
    { variable: 'd' },
    { variable: 'e' },
  ])
  assert.equal(joined('a', '', 'b').constant, 'ab')
  assert.equal(joined('', '').constant, '')
  assert.throws(() => joined('${a', '}'), /the closing bracket in "a" variable is missing/)
})

void test('what is no variable is refused in the words of nginx', () => {
  const problems: Record<string, string> = {
    $: 'invalid variable name',
    'a$-': 'invalid variable name',
    'a${': 'invalid variable name',
    '${}': 'invalid variable name',
    '${a': 'the closing bracket in "a" variable is missing',
    '${a-b}': 'the closing bracket in "a" variable is missing',
    '${-}': 'the closing bracket in "" variable is missing',
    '${1}': 'unknown "1" variable',
    $0: 'unknown "0" variable',
    x$no: 'unknown "no" variable',
  }
  for (const [text, problem] of Object.entries(problems)) {
    assert.throws(
      () => expand(text),
      error => String(error) === `${problem} in /etc/c:3`,
      text,
    )
  }
})
