// What a pattern is said to need: whatever matches has it, so that nothing is passed over.

import assert from 'node:assert/strict'
import test from 'node:test'
import { compilePattern, type Pattern } from '../../src/lib/pcre/pattern.ts'
import { pairsOf } from '../../src/lib/pcre/required.ts'

/** Would a location's search run the pattern? */
function admits({ pairs, endings }: Pattern, text: string): boolean {
  const last = text.charCodeAt(text.length - 1)
  return (pairs & ~pairsOf(text)) === 0 && (endings === null || endings[last] !== 0 || last === 10)
}

test('texts that lack a literal of the pattern are passed over', () => {
  const admitted = (pattern: string, text: string): boolean => admits(compilePattern(pattern, false), text)
  assert.equal(admitted('^/shop/(\\d+)/', '/articles/12'), false)
  assert.equal(admitted('^/shop/(\\d+)/', '/shop/12/'), true)
  assert.equal(admitted('\\.(?:gif|jpe?g)$', '/a.png'), true)
  assert.equal(admitted('\\.(?:gif|jpe?g)$', '/a.css'), false)
  assert.equal(admitted('^/(?:en|de)/page(?:/|$)', '/fr/other'), false)
})

test('case, newlines at the end, optional and repeated parts are allowed for', () => {
  const cases: [string, boolean, string][] = [
    ['/ABC$', true, '/abc'],
    ['a$', false, 'a\n'],
    ['(?i)php(?-i)\\d', false, 'PhP1'],
    ['ab*c', false, 'ac'],
    ['a(?:bc)+d', false, 'abcbcd'],
    ['a(?=b)bc', false, 'abc'],
    ['(?:ab|cd)e', false, 'cde'],
    ['(a|)$', false, 'x'],
    ['', false, ''],
    ['(a)\\1b', false, 'aab'],
    ['x\\b\\.y', false, 'x.y'],
  ]
  for (const [pattern, caseless, text] of cases) {
    const compiled = compilePattern(pattern, caseless)
    assert.ok(compiled.test(text), pattern)
    assert.ok(admits(compiled, text), pattern)
  }
})

test('no pattern and text can be found that match and are passed over', t => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  let state = seed || 1
  const random = (below: number): number => {
    state = (state * 1103515245 + 12345) % 2147483648
    return Math.floor(state / 65536) % below
  }
  const atoms = [
    'a',
    'b',
    'A',
    '/',
    '\\.',
    '[ab]',
    '[^a]',
    '.',
    '\\d',
    '(a|b)',
    '(?:ab|c)',
    '(?:a|bc|)',
    '(?=a)',
    '\\b',
    '(?>ab)',
    '(ab)',
  ]
  const marks = ['', '', '', '', '*', '+', '?', '{2}', '+?', '++']
  const letters = 'abAB/.1c\n'
  let matches = 0
  for (let n = 0; n < 20_000; n++) {
    let source = random(3) === 0 ? '^' : ''
    for (let i = random(5); i >= 0; i--) {
      const atom = atoms[random(atoms.length)]!
      source += atom === '(?=a)' || atom === '\\b' ? atom : atom + marks[random(marks.length)]!
      if (random(8) === 0) source += '|'
    }
    if (random(2) === 0) source += '$'
    const pattern = compilePattern(source, random(2) === 0)
    for (let k = 0; k < 4; k++) {
      let text = ''
      for (let i = random(8); i > 0; i--) text += letters[random(letters.length)]!
      if (!pattern.test(text)) continue
      matches++
      assert.ok(admits(pattern, text), `${source} on ${JSON.stringify(text)}`)
    }
  }
  assert.ok(matches > 1000)
})
