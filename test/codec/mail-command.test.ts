import assert from 'node:assert/strict'
import test from 'node:test'
import {
  CONTINUE,
  INCOMPLETE,
  MailCommand,
  POP3,
  readAnswer,
  readCommand,
  SMTP,
  type Grammar,
} from '../../src/codec/mail-command.ts'
import { endsInLiteral, readImapCommand } from '../../src/codec/imap-command.ts'
import { Random, seed } from './h1/feeding.ts'

const start = seed()

function read(text: string, grammar: Grammar): { used: number; name: string; args: readonly string[]; line: string } {
  const command = new MailCommand()
  const used = readCommand(text, grammar, command)
  return { used, name: command.name, args: command.args, line: command.line }
}

test('commands of POP3: a name or password is all that follows, in others words are arguments', () => {
  const user = read('user a name \r\nPASS x\r\n', POP3)
  assert.deepEqual([user.used, user.name, user.args], [14, 'USER', ['a name ']])
  assert.deepEqual(read('APOP  me   d1gest\n', POP3).args, ['me', 'd1gest'])
  assert.deepEqual(read('QUIT \r\n', POP3).args, [])
  assert.equal(read('APOP a b c d\r\n', POP3).name, '')
})

test('commands of SMTP keep how they were written', () => {
  const mail = read('MAIL FROM:<a@b> SIZE=1 \r\n', SMTP)
  assert.deepEqual(mail.args, ['FROM:<a@b>', 'SIZE=1'])
  assert.equal(mail.line, 'MAIL FROM:<a@b> SIZE=1')
  assert.equal(read('starttls\n', SMTP).name, 'STARTTLS')
})

test('what is no command is used up to the end of its line', () => {
  for (const line of [
    '\r\n',
    'FOO\r\n',
    'QUI T\r\n',
    ' QUIT\r\n',
    'QUIT\rX\r\n',
    'Q\0IT\n',
    `MAIL ${'x '.repeat(12)}\r\n`,
  ]) {
    const { used, name } = read(`${line}QUIT\r\n`, SMTP)
    assert.deepEqual([used, name], [line.length, ''], JSON.stringify(line))
  }
  assert.equal(read('QUIT\r', SMTP).used, INCOMPLETE)
})

test('answers to challenges are words, the first of which may be empty', () => {
  const command = new MailCommand()
  command.name = 'AUTH'
  assert.equal(readAnswer('dGVzdA== x\r\nrest', command), 12)
  assert.deepEqual([command.name, command.args], ['AUTH', ['dGVzdA==', 'x']])
  readAnswer('\r\n', command)
  assert.deepEqual(command.args, [''])
  assert.equal(readAnswer('abc', command), INCOMPLETE)
  readAnswer('a\rb\n', command)
  assert.equal(command.name, '')
})

interface Imap {
  readonly used: number
  readonly tag: string
  readonly name: string
  readonly args: readonly string[]
}

function imap(text: string, asked = 0): Imap {
  const command = new MailCommand()
  const used = readImapCommand(text, asked, command)
  return { used, tag: command.tag, name: command.name, args: command.args }
}

test('IMAP: words, quoted strings and literals are arguments', () => {
  assert.deepEqual(imap('a.1 login me secret\r\n'), { used: 21, tag: 'a.1 ', name: 'LOGIN', args: ['me', 'secret'] })
  assert.deepEqual(imap('a LOGIN "a \\"b\\\\" ""\r\n').args, ['a "b\\', ''])
  assert.deepEqual(imap('a LOGIN {3+}\r\na\nb {0+}\r\n\r\n').args, ['a\nb', ''])
  assert.deepEqual(imap('a NOOP\n').used, 7)
})

test('IMAP: a literal is asked for, each once', () => {
  const text = 'a LOGIN {2}\r\nme {6}\r\nsecret\r\n'
  assert.equal(imap(text.slice(0, 11)).used, INCOMPLETE)
  assert.equal(imap(text.slice(0, 13)).used, CONTINUE)
  assert.equal(imap(text.slice(0, 13), 1).used, INCOMPLETE)
  assert.equal(imap(text.slice(0, 21), 1).used, CONTINUE)
  assert.deepEqual(imap(text, 2), { used: text.length, tag: 'a ', name: 'LOGIN', args: ['me', 'secret'] })
})

test('IMAP: what is no command keeps its tag, and is used up to the end of its line', () => {
  const cases: readonly (readonly [line: string, tag: string])[] = [
    ['a FOO bar\r\n', 'a '],
    ['a LOGIN x y z w\r\n', 'a '],
    ['a LOGIN "x\r\n', 'a '],
    ['a LOGIN {12x}\r\n', 'a '],
    ['a LOGIN {}\r\n', 'a '],
    ['a LOGIN {9999999999}\r\n', 'a '],
    ['a LOGIN\rx\r\n', 'a '],
    ['a\r\n', ''],
    ['\r\n', ''],
    [`${'t'.repeat(33)} NOOP\r\n`, ''],
    ['ä NOOP\r\n', ''],
  ]
  for (const [line, tag] of cases) {
    const result = imap(`${line}a NOOP\r\n`)
    assert.deepEqual([result.used, result.name, result.tag], [line.length, '', tag], JSON.stringify(line))
  }
  assert.equal(endsInLiteral('a FOO {10+}\r\n'), true)
  assert.equal(endsInLiteral('a FOO {10}\r\n'), false)
})

const PIECES = [
  'a ',
  'A1 ',
  'LOGIN',
  'NOOP',
  'AUTHENTICATE',
  'user',
  'MAIL',
  ' ',
  '"',
  '\\',
  '{3}',
  '{2+}',
  '\r\n',
  '\n',
  '\r',
  'x',
  '\0',
  'é',
]

/** Commands as a session takes them, whatever pieces they come in. */
function takeAll(text: string, sizes: () => number, next: (text: string, asked: number) => Imap): string[] {
  const taken: string[] = []
  let input = ''
  let asked = 0
  for (let at = 0; at < text.length;) {
    const size = sizes()
    input += text.slice(at, at + size)
    at += size
    for (;;) {
      const { used, ...what } = next(input, asked)
      if (used === INCOMPLETE) break
      if (used === CONTINUE) asked++
      else {
        assert.ok(used > 0 && used <= input.length)
        taken.push(JSON.stringify(what))
        input = input.slice(used)
        asked = 0
      }
    }
  }
  return taken
}

test(`any text is read alike whole and in pieces (FUZZ_SEED=${start})`, () => {
  const command = new MailCommand()
  const line =
    (grammar: Grammar | null) =>
    (text: string): Imap => {
      const used = grammar === null ? readAnswer(text, command) : readCommand(text, grammar, command)
      return { used, tag: command.line, name: command.name, args: command.args }
    }
  for (let n = 0; n < 3000; n++) {
    const random = new Random(start + n)
    let text = ''
    for (let i = random.below(25); i >= 0; i--) text += PIECES[random.below(PIECES.length)]
    for (const next of [imap, line(POP3), line(SMTP)]) {
      const whole = takeAll(text, () => text.length, next)
      const pieces = takeAll(text, () => 1 + random.below(4), next)
      assert.deepEqual(pieces, whole, `FUZZ_SEED=${start + n} ${JSON.stringify(text)}`)
    }
  }
})
