import assert from 'node:assert/strict'
import test from 'node:test'
import { ConfigError } from '../../src/config/errors.ts'
import { Tokens } from '../../src/config/tokens.ts'

function read(text: string, kind: 'file' | 'parameter' = 'file'): [ending: string, line: number, ...words: string[]][] {
  const tokens = new Tokens(text, 'x', kind)
  const all: [string, number, ...string[]][] = []
  for (;;) {
    const ending = tokens.next()
    if (ending === 'end') return all
    all.push([ending, tokens.line, ...tokens.words.map(word => (word.quoted ? `<${word.text}>` : word.text))])
  }
}

const refuses = (text: string, problem: string, kind: 'file' | 'parameter' = 'file') =>
  assert.throws(
    () => read(text, kind),
    (error: unknown) => error instanceof ConfigError && error.toString() === problem,
  )

void test('words end at blanks, semicolons and braces, and carry the line of what ended them', () => {
  assert.deepEqual(read('a b\r\n\tc;d{}\n# e;\n f # g\n;'), [
    ['semicolon', 2, 'a', 'b', 'c'],
    ['open', 2, 'd'],
    ['close', 2],
    ['semicolon', 5, 'f'],
  ])
})

void test('quotes may hold anything, and need a blank or a closing parenthesis after them', () => {
  assert.deepEqual(read(`"a;{}#'\n" '"' "x") "";`), [['semicolon', 2, `<a;{}#'\n>`, '<">', '<x>', ')', '<>']])
  refuses('"a"b;', 'unexpected "b" in x:1')
  refuses('"a"}', 'unexpected "}" in x:1')
})

void test('only some backslashes are escapes; all keep the following character from ending the word', () => {
  assert.deepEqual(read(String.raw`\"a\' \\ \t\r\n \d\; \{ "\"" '\'';`), [
    ['semicolon', 1, `"a'`, '\\', '\t\r\n', '\\d\\;', '\\{', '<">', "<'>"],
  ])
})

void test('a brace after a dollar sign opens a name, not a block', () => {
  assert.deepEqual(read('a${b}c ${{d};$e{'), [
    ['semicolon', 1, 'a${b}c', '${{d}'],
    ['open', 1, '$e'],
  ])
})

void test('within a word quotes, closing braces and hash signs are ordinary', () => {
  assert.deepEqual(read(`a"b c'd e}f g#h;`), [['semicolon', 1, 'a"b', "c'd", 'e}f', 'g#h']])
})

void test('a word is as long as the buffer of nginx at most, in files', () => {
  assert.equal(read(`${'a'.repeat(4095)};`)[0]![2]!.length, 4095)
  refuses(`b\n${'a'.repeat(4096)} ;`, 'too long parameter "aaaaaaaaaa..." started in x:2')
  refuses(`'${'a\n'.repeat(2050)}';`, `too long parameter, probably missing terminating "'" character in x:1`)
  assert.equal(read(`${'a'.repeat(5000)};`, 'parameter')[0]![2]!.length, 5000)
})

void test('the end within a directive is told apart in files and in parameters', () => {
  for (const text of ['a', 'a ', '"a', '"a"', 'a\\', 'a #']) {
    refuses(text, 'unexpected end of file, expecting ";" or "}" in x:1')
    refuses(text, 'unexpected end of parameter, expecting ";" in x:0', 'parameter')
  }
  for (const text of ['', ' \n', '# a', 'a;#']) assert.doesNotThrow(() => read(text))
})
