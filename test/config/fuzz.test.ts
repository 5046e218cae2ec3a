// Any text is read or refused with a ConfigError; what was read is printed as text that reads the same.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ConfigError, ConfigErrors } from '../../src/config/errors.ts'
import { parseText } from '../../src/config/parse.ts'
import { print, printWord } from '../../src/config/print.ts'
import { readConfig } from '../../src/config/read.ts'
import { BundleSource } from '../../src/config/source.ts'
import { compileTemplate, Template } from '../../src/config/template.ts'
import { Tokens } from '../../src/config/tokens.ts'
import { parseSeconds, parseTime } from '../../src/config/units.ts'
import { registry } from './modules.ts'
import type { Statement } from '../../src/config/directive.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
console.log(`FUZZ_SEED=${seed}`)

let state = seed
/** mulberry32: a number below n. */
function random(n: number): number {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % n
}
const some = (pieces: readonly string[], most: number) =>
  Array.from({ length: random(most + 1) }, () => pieces[random(pieces.length)]!).join('')

const source = new BundleSource({
  files: [
    ['/etc/part', 'root a; sendfile on;'],
    ['/etc/broken', 'server {'],
    ['/etc/circle', 'include circle;'],
  ],
  globs: [],
})
const syntax = [
  ' ',
  '\n',
  '\t',
  ';',
  '{',
  '}',
  '"',
  "'",
  '\\',
  '$',
  '${',
  '#',
  ')',
  '\r',
  '\0',
  '\xff',
  'a',
  'b',
  '\\n',
  '\\"',
]
const sentences = ['events {} ', 'http {', 'server {', '} ', '; ', 'root "x"; ', 'sendfile on; ', 'include part; ']
sentences.push(
  'include broken; ',
  'include circle; ',
  'location / {',
  'if ($a = "b") {',
  'types { a b; ',
  'proxy_pass $x;',
)
sentences.push(
  'proxy_buffers 1 k',
  'upstream a {',
  'server 1;',
  'proxy_next_upstream off error;',
  'nonsense {',
  'listen 1',
)

/** What a statement is, without where it stands. */
function shape(statements: readonly Statement[]): unknown[] {
  return statements.map(({ name, words, block }) => [name, words, block === null ? null : shape(block)])
}

void test('any text is parsed or refused, and what was parsed prints back', () => {
  for (let i = 0; i < 4000; i++) {
    const text = some(random(2) === 0 ? syntax : [...sentences, ...syntax], 40)
    const { statements, errors } = parseText(text, '/etc/c', source)
    assert.ok(errors.every(error => error instanceof ConfigError))
    const printed = print(statements)
    const again = parseText(printed, '/etc/c', source)
    assert.deepEqual([shape(again.statements), again.errors], [shape(statements), []], JSON.stringify(text))
    assert.equal(print(again.statements), printed)
  }
})

void test('any parsed text is read or refused, in reading order', () => {
  for (let i = 0; i < 4000; i++) {
    const text = some([...sentences, ...syntax.slice(0, 6)], 25)
    const parsed = parseText(text, '/etc/c', source)
    try {
      readConfig(parsed, registry, { prefix: '/p/' })
    } catch (error) {
      if (!(error instanceof ConfigErrors)) throw new Error(JSON.stringify(text), { cause: error })
      const orders = error.errors.map(each => each.order)
      assert.deepEqual(
        orders,
        [...orders].sort((a, b) => a - b),
      )
      assert.ok(error.errors.length <= 20)
    }
  }
})

void test('any word prints as one word', () => {
  for (let i = 0; i < 10_000; i++) {
    const text = some(syntax, 8)
    const printed = printWord({ text, quoted: random(2) === 0 })
    const tokens = new Tokens(`x ${printed};`, '')
    assert.equal(tokens.next(), 'semicolon')
    assert.deepEqual(
      tokens.words.slice(1).map(word => word.text),
      [text],
      printed,
    )
  }
})

void test('any template is split or refused, and loses no character', () => {
  const pieces = ['$', '{', '}', 'a', 'B', '_', '1', '0', '-', ' ']
  for (let i = 0; i < 10_000; i++) {
    const text = some(pieces, 10)
    try {
      const template = Template.parse(text, { file: 'x', line: 1, order: 0 })
      const back = compileTemplate(template, name => () => `$${name}`).get(null)
      assert.equal(back.toLowerCase(), text.replace(/\$\{(\w+)\}/g, '$$$1').toLowerCase())
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
    }
  }
})

void test('any time is a whole number or refused', () => {
  const pieces = ['1', '90', '999999999', 'y', 'M', 'w', 'd', 'h', 'm', 's', 'ms', ' ', 'x']
  for (let i = 0; i < 10_000; i++) {
    const text = some(pieces, 8)
    for (const value of [parseTime(text), parseSeconds(text)])
      assert.ok(value === null || Number.isSafeInteger(value), text)
  }
})
