import assert from 'node:assert/strict'
import test from 'node:test'
import { BROKEN, COMMAND, MORE, SsiParser, TEXT } from '../../../../src/http/modules/ssi/parser.ts'

/** What the parser makes of the pieces, text joined. */
function read(pieces: readonly string[], valueMax = 255): string[] {
  const parser = new SsiParser(valueMax)
  const found: string[] = []
  const text = (more: string): void => {
    if (more === '') return
    if (found.at(-1)?.startsWith('text ') === true) found[found.length - 1] += more
    else found.push(`text ${more}`)
  }
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1')
    let at = 0
    while (at < bytes.length) {
      const kind = parser.read(bytes, at, bytes.length)
      assert.ok(parser.at > at || kind === TEXT, 'it goes on')
      assert.ok(parser.at <= bytes.length)
      at = parser.at
      if (kind === TEXT)
        text('<!--'.slice(0, parser.prefix) + bytes.toString('latin1', parser.textStart, parser.textEnd))
      else if (kind === COMMAND) {
        found.push(`${parser.command}(${parser.names.map((name, i) => `${name}=${parser.values[i]}`).join()})`)
      } else if (kind === BROKEN) found.push(`broken: ${parser.problem}`)
      else assert.equal(kind, MORE)
    }
  }
  text('<!--'.slice(0, parser.rest()))
  return found
}

test('commands with their parameters stand between texts', () => {
  assert.deepEqual(read(['a<!--#echo var="x" -->b<!--# set var=\'y\'\n value = "1"-->']), [
    'text a',
    'echo(var=x)',
    'text b',
    'set(var=y,value=1)',
  ])
  assert.deepEqual(read(['<!--#endif--><!--#else -->']), ['endif()', 'else()'])
})

test('what only looks like the beginning of a command is text', () => {
  for (const text of ['<', '<!', '<!-', '<!--', '<<!--', '<!-- #x -->', '<!-<!--a', '<p><!doctype>']) {
    assert.deepEqual(read([text]), [`text ${text}`])
    assert.deepEqual(read(text.split('')), [`text ${text}`])
  }
})

test('what is wrong in a command is told, and the command skipped', () => {
  assert.deepEqual(read(['a<!--#echo var=x -->b']), [
    'text a',
    'broken: unexpected "x" symbol before value of "var" parameter in "echo" SSI command',
    'text b',
  ])
  assert.match(read([`<!--#${'c'.repeat(40)} -->`])[0]!, /the "c{33}..." SSI command is too long/)
  assert.match(read([`<!--#a ${'p'.repeat(40)}="" -->`])[0]!, /too long "p{33}..." parameter in "a"/)
  assert.match(read(['<!--#a b="12345" -->'], 4)[0]!, /too long "12345..." value of "b" parameter/)
  assert.match(read(['<!--#a b="1"c -->'])[0]!, /unexpected "c" symbol after "1" value of "b" parameter in "a"/)
  assert.deepEqual(read(['<!--#a b - - --> -->c']).slice(1), ['text  -->c'])
})

test('a backslash keeps a quote from ending the value', () => {
  assert.deepEqual(read(['<!--#a b="x\\"y" c=\'\\\'\' -->']), ['a(b=x\\"y,c=\\\')'])
})

test('any input gives the same however it is cut, from a seed', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9))
  console.log(`FUZZ_SEED=${seed}`)
  let state = seed >>> 0
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 4294967296) * below)
  }
  const words = [
    '<!--#',
    '<!--',
    '<',
    '-->',
    '--',
    '-',
    '>',
    ' ',
    'echo',
    'var',
    '=',
    '"',
    "'",
    '\\',
    'x',
    '\n',
    '#',
    '\xff',
  ]
  for (let round = 0; round < 3000; round++) {
    let text = ''
    for (let i = random(30); i >= 0; i--) text += words[random(words.length)]
    const whole = read([text], 16)
    assert.deepEqual(read(text.split(''), 16), whole, text)
    const cut = random(text.length + 1)
    assert.deepEqual(read([text.slice(0, cut), text.slice(cut)], 16), whole, text)
  }
})
