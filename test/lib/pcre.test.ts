import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { Matcher } from '../../src/lib/pcre/matcher.ts'
import { parsePattern } from '../../src/lib/pcre/parse.ts'
import { compilePattern, LINEAR, PatternError, type Pattern } from '../../src/lib/pcre/pattern.ts'
import { compileProgram } from '../../src/lib/pcre/program.ts'

// What libpcre2 10.42 answers: groups of the match by text, null for none; messages with their offsets.
const answers = JSON.parse(readFileSync(new URL('pcre-answers.json', import.meta.url), 'utf8')) as {
  matches: [pattern: string, flags: string, texts: Record<string, (string | null)[] | null>][]
  refusals: [pattern: string, message: string, offset: number][]
}

const compile = (pattern: string, flags = ''): Pattern => compilePattern(pattern, flags === 'i')
const matcherOf = (pattern: string, flags: string): Matcher =>
  new Matcher(compileProgram(parsePattern(pattern, flags === 'i')))

/** Groups as PCRE tells them: what is not set is the empty text in either. */
function groups(match: RegExpExecArray | null): string[] | null {
  return match === null ? null : Array.from(match, text => text ?? '')
}

test('patterns match what PCRE matches, with the same captures, in both engines', () => {
  for (const [pattern, flags, texts] of answers.matches) {
    for (const [text, expected] of Object.entries(texts)) {
      const wanted = expected === null ? null : expected.map(group => group ?? '')
      const place = `${pattern} on ${JSON.stringify(text)}`
      assert.deepEqual(groups(compile(pattern, flags).exec(text)), wanted, place)
      assert.deepEqual(groups(matcherOf(pattern, flags).exec(text)), wanted, `${place}, own matcher`)
    }
  }
})

test('what PCRE refuses is refused in its words, at its place', () => {
  for (const [pattern, message, offset] of answers.refusals) {
    assert.throws(
      () => compile(pattern),
      (error: unknown) => {
        assert.ok(error instanceof PatternError, pattern)
        assert.deepEqual([error.message, error.offset], [message, offset], pattern)
        return true
      },
    )
  }
})

test('what no engine here can do is refused in one line', () => {
  const refused = {
    '(?R)': 'recursion is not supported',
    '(a)(?1)': 'recursion is not supported',
    '(?<n>a)(?&n)': 'recursion is not supported',
    '(*ACCEPT)': '(*VERB) is not supported',
    '(*UTF)a': '(*VERB) is not supported',
    'a(?C1)': 'callouts are not supported',
    '\\X': '\\X is not supported',
  }
  for (const [pattern, message] of Object.entries(refused)) {
    assert.throws(() => compile(pattern), { name: 'PatternError', message })
  }
})

test('named groups have their numbers and are in match.groups', () => {
  const native = compile('^(?<a>x)(?P<b>y)?')
  assert.deepEqual(
    [...native.names],
    [
      ['a', 1],
      ['b', 2],
    ],
  )
  assert.equal(native.captures, 2)
  assert.equal(native.exec('xy')!.groups!.b, 'y')
  assert.equal(compile("(?>(?'a'x))").exec('x')!.groups!.a, 'x')
})

// Each takes a naive backtracker longer than the universe is old.
const HOSTILE: readonly (readonly [pattern: string, text: string])[] = [
  ['^(a+)+$', `${'a'.repeat(4000)}b`],
  ['^(a+)+$', `${'a'.repeat(4000)}b\n`],
  ['^(a|a)*$', `${'a'.repeat(4000)}b`],
  ['^(.*)(.*)(.*)(.*)x$', 'a'.repeat(8000)],
  ['(x+x+)+y', 'x'.repeat(8000)],
  ['(?i)^(a+)+$', `${'A'.repeat(4000)}b`],
  ['^(?=(a+)+$)', `${'a'.repeat(4000)}b`],
  ['^(a+)+\\1$', `${'a'.repeat(4000)}b`],
  ['^(\\w|\\d|[a-z]){20,}$', `${'a'.repeat(4000)}!`],
  ['(?!x)(.*)(.*)(.*)(.*)x$', 'a'.repeat(8000)],
  ['((a?){0,200}){0,200}b', 'a'.repeat(2000)],
  ['(?>(a|b|ab)*)*(?<=b)c', 'ab'.repeat(4000)],
]

test('no text makes a pattern take longer than a moment', () => {
  for (const [pattern, text] of HOSTILE) {
    const compiled = compile(pattern)
    const before = performance.now()
    assert.equal(compiled.exec(text), null)
    assert.ok(performance.now() - before < 10_000, pattern)
  }
})

test('the limit is told where it was reached, and the next text is matched as ever', () => {
  const pattern = compile('^(?=(a+)+$)(a*)')
  assert.equal(pattern.exec(`${'a'.repeat(100)}b`), null)
  assert.equal(pattern.exceeded, true)
  assert.equal(pattern.exec('aaa')![2], 'aaa')
  assert.equal(pattern.exceeded, false)
  assert.equal(compile('^(a+)+$').exec(`${'a'.repeat(100)}b`), null)
})

test('what could not be looked for to its end is not taken for missing', () => {
  for (const text of ['^/(?!(?:a|a)*x|.*evil)', '^(?!/(?:a|a)*x|.*evil)/', '^/(?<!(?!a)z)(?!(?=(?:a|a)*x)|.*evil)']) {
    const pattern = compile(text)
    assert.equal(pattern.exec(`/${'a'.repeat(100)}evil`), null, text)
    assert.equal(pattern.exceeded, true)
    assert.equal(pattern.exec('/aevil'), null)
    assert.equal(pattern.exec('/aa')![0], '/')
    assert.equal(pattern.exceeded, false)
  }
})

test('a search that goes over the text again from each place in it has an end, too', () => {
  const pattern = compile('(?>a+)b')
  assert.equal(pattern.exec('a'.repeat(200_000)), null)
  assert.equal(pattern.exceeded, true)
  assert.equal(pattern.exec('aab')![0], 'aab')
})

test('a POSIX class has a name of its own, whatever else an object may answer to', () => {
  for (const name of ['constructor', '__proto__', 'toString']) {
    assert.throws(() => compile(`[[:${name}:]]`), /unknown POSIX class name/)
  }
})

test('V8 falls back to its linear engine in threads too', async () => {
  const module = new URL('../../src/lib/pcre/pattern.ts', import.meta.url).href
  const code = `import(${JSON.stringify(module)}).then(({ compilePattern }) => {
    const match = compilePattern('^(a+)+$', false).exec('a'.repeat(4000) + 'b')
    require('node:worker_threads').parentPort.postMessage(match === null)
  })`
  const worker = new Worker(code, { eval: true })
  assert.equal(await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)), true)
  await worker.terminate()
})

// ── fuzzing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))
let state = seed >>> 0
const random = (below: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * below)
}
const pick = <T>(from: readonly T[]): T => from[random(from.length)]!

const atoms = [
  'a',
  'b',
  'A',
  '.',
  '[ab]',
  '[^a]',
  '\\d',
  '\\w',
  '\\s',
  '\\xe9',
  '[[:alpha:]]',
  '\\b',
  '^',
  '$',
  '\\z',
  '/',
  '\\n',
  '(?i)',
  '\\1',
]
const quantifiers = ['', '', '', '*', '+', '?', '*?', '+?', '{2}', '{1,2}', '{2,}', '*+']
const opens = ['(', '(', '(?:', '(?<n>', '(?=', '(?!', '(?>']

function randomPattern(depth: number): string {
  let pattern = ''
  for (let i = random(4); i >= 0; i--) {
    const item = depth > 0 && random(3) === 0 ? `${pick(opens)}${randomPattern(depth - 1)})` : pick(atoms)
    pattern += item + pick(quantifiers)
  }
  return random(4) === 0 ? `${pattern}|${randomPattern(0)}` : pattern
}

const randomText = (): string =>
  Array.from({ length: random(9) }, () => pick(['a', 'b', 'A', '1', ' ', '/', '\n', '\xe9'])).join('')

function compiledOrRefused(pattern: string): Pattern | null {
  try {
    return compile(pattern)
  } catch (error) {
    assert.ok(error instanceof PatternError, `${pattern}: ${String(error)}`)
    return null
  }
}

test(`any pattern is compiled or refused, and all engines agree (FUZZ_SEED=${seed})`, () => {
  let compared = 0
  for (let i = 0; i < 5000; i++) {
    const pattern = randomPattern(3)
    const compiled = compiledOrRefused(pattern)
    if (compiled === null) continue
    const matcher = matcherOf(pattern, '')
    // What V8 would fall back to must mean the same too.
    const linear = compiled.source === '(?:)' ? null : new RegExp(compiled.source, LINEAR)
    for (let j = 0; j < 4; j++) {
      const text = randomText()
      const own = groups(matcher.exec(text))
      if (matcher.exceeded) continue
      assert.deepEqual(groups(compiled.exec(text)), own, `${pattern} on ${JSON.stringify(text)}`)
      if (linear !== null && !text.endsWith('\n')) {
        assert.deepEqual(groups(linear.exec(text)), own, `${pattern} on ${JSON.stringify(text)}, linear`)
      }
      compared++
    }
  }
  assert.ok(compared > 1000)
})

test(`any text is compiled or refused (FUZZ_SEED=${seed})`, () => {
  const pieces = [
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '?',
    '*',
    '+',
    '|',
    '\\',
    '<',
    '>',
    "'",
    'P',
    '=',
    '!',
    ':',
    '#',
    '-',
    '^',
    '$',
    '1',
    ',',
    'x',
    'Q',
    'E',
    'g',
    'k',
    'K',
    'o',
    'c',
    'p',
    '\xe9',
    '\0',
  ]
  for (let i = 0; i < 20000; i++) {
    const pattern = Array.from({ length: random(12) }, () => pick(pieces)).join('')
    compiledOrRefused(pattern)?.exec(randomText())
  }
})
