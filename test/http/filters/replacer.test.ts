import assert from 'node:assert/strict'
import test from 'node:test'
import { Pattern, Replacer } from '../../../src/http/filters/replacer.ts'

function replaced(pieces: readonly string[], texts: readonly string[], once = false): string {
  const replacer = new Replacer(new Pattern(texts), i => `<${i}>`, once)
  return pieces.map((piece, i) => replacer.replace(piece, i === pieces.length - 1)).join('')
}

test('the first place counts, and at one place the first text given', () => {
  assert.equal(replaced(['xabcd'], ['bcd', 'abc']), 'x<1>d')
  assert.equal(replaced(['abcd'], ['ab', 'abc']), '<0>cd')
  assert.equal(replaced(['abcd'], ['abc', 'ab']), '<0>d')
})

test('only ASCII letters have two cases', () => {
  assert.equal(replaced(['aBc \u00c4\u00e4'], ['AbC', '\u00e4']), '<0> \u00c4<1>')
})

test('once is once for each text', () => {
  assert.equal(replaced(['abab', 'ab'], ['a', 'b'], true), '<0><1>abab')
})

test('what was held back is given in the end', () => {
  assert.equal(replaced(['xab', 'ab', ''], ['abc']), 'xabab')
  assert.equal(replaced(['ab', 'x'], ['abc', 'b']), 'a<1>x')
})

test('fuzz: pieces make no difference', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9))
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % below
  }
  const word = (size: number): string => Array.from({ length: size }, () => 'aAb.'[random(4)]).join('')
  for (let round = 0; round < 3000; round++) {
    const texts = Array.from({ length: 1 + random(3) }, () => word(1 + random(4)))
    const body = word(random(24))
    const cuts = [
      0,
      ...Array.from({ length: random(4) }, () => random(body.length + 1)).sort((a, b) => a - b),
      body.length,
    ]
    const pieces = cuts.slice(1).map((end, i) => body.slice(cuts[i], end))
    const once = random(2) === 0
    const told = `seed ${seed}, round ${round}: ${JSON.stringify({ texts, pieces, once })}`
    assert.equal(replaced(pieces, texts, once), replaced([body], texts, once), told)
    assert.equal(replaced([...Array.from(body), ''], texts, once), replaced([body], texts, once), told)
  }
})
