// The cases of Autobahn|Testsuite about text (its family 6): what is UTF-8 comes back, what is not ends the connection with 1007,
// and that at the byte that shows it, long before the message is whole.

import test from '../helpers/python-test.ts'
import { bye, frame, good, inFrames, masking, nonsense, play, TEXT } from './websocket-client.ts'

function echoed(name: string, text: Buffer, ...send: Buffer[]): void {
  test(`websocket case ${name}`, () =>
    play([
      [send.length > 0 ? send : [frame(TEXT, text)], [[TEXT, text]]],
      [[bye], [good]],
    ]))
}

function refused(name: string, ...send: Buffer[]): void {
  test(`websocket case ${name}`, () => play([[send, [nonsense]]]))
}

const hex = (digits: string): Buffer => Buffer.from(digits, 'hex')
const part = (opcode: number, payload: string | Buffer): Buffer => frame(opcode, payload, { fin: false })

// 6.1: parts without payload
const nothing = Buffer.alloc(0)
const middle = Buffer.from('middle')
echoed('6.1.1: text of nothing', nothing)
echoed('6.1.2: three empty parts', nothing, Buffer.concat([part(TEXT, ''), part(0, ''), frame(0)]))
echoed('6.1.3: the middle one is not empty', middle, Buffer.concat([part(TEXT, ''), part(0, middle), frame(0)]))

// 6.2 and 6.3: parts between and inside characters
const german = Buffer.from('Hello-µ@ßöäüàá-UTF-8!!')
const greek = hex('cebae1bdb9cf83cebcceb5')
const edited = Buffer.from('edited')
const surrogate = Buffer.concat([greek, hex('eda080'), edited])
echoed('6.2.1: letters beyond ASCII', german)
echoed(
  '6.2.2: parted between characters',
  german,
  Buffer.concat([part(TEXT, german.subarray(0, 15)), frame(0, german.subarray(15))]),
)
echoed('6.2.3: a byte a part', german, inFrames(TEXT, german, 1, { trailing: true }))
echoed('6.2.4: Greek, a byte a part', greek, inFrames(TEXT, greek, 1, { trailing: true }))
refused('6.3.1: a surrogate', frame(TEXT, surrogate))
refused('6.3.2: a surrogate, a byte a part', inFrames(TEXT, surrogate, 1, { trailing: true }))

// 6.4: at once. What would follow never does.
const beyond = hex('f4908080')
const whole = greek.length + beyond.length + edited.length
const begun = frame(TEXT, greek, { length: whole })
refused('6.4.1: beyond Unicode, in the second part', part(TEXT, greek), part(0, beyond))
refused('6.4.2: its second byte', part(TEXT, Buffer.concat([greek, hex('f4')])), part(0, hex('90')))
refused('6.4.3: inside a frame', begun, masking(beyond, greek.length))
refused(
  '6.4.4: its second byte, inside a frame',
  begun,
  masking(hex('f4'), greek.length),
  masking(hex('90'), greek.length + 1),
)

// 6.5 to 6.23: sequences, the ones that are UTF-8 as they are, the others behind a "!"
const run = (from: number, to: number, behind = ''): string =>
  Array.from({ length: to - from }, (_, i) => (from + i).toString(16) + behind).join('')
const incomplete = 'c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf'.split(' ')
const nonCharacters = ['f0', 'f1', 'f2', 'f3', 'f4']
  .flatMap(first => ['8f', '9f', 'af', 'bf'].map(second => first + second))
  .filter(start => start !== 'f08f' && (start < 'f4' || start === 'f48f'))
  .flatMap(start => [`${start}bfbe`, `${start}bfbf`])
const around = (bytes: string): string => `68656c6c6f${bytes}776f726c64`
const sequences: [what: string, all: string[]][] = [
  ['characters of all lengths', [...['24', 'c2a2', 'e282ac', 'f0a4ada2'].map(around), greek.toString('hex')]],
  [
    'beginnings of Greek',
    Array.from(greek, (_, i) => ([1, 4, 6, 8, 10].includes(i) ? '' : '!') + greek.toString('hex', 0, i + 1)),
  ],
  ['the first of a length', '00 c280 e0a080 f0908080'.split(' ')],
  ['the first of lengths there are not', '!f888808080 !fc8480808080'.split(' ')],
  ['the last of a length', '7f dfbf efbfbf f48fbfbf'.split(' ')],
  ['the last of lengths there are not', '!f7bfbfbf !fbbfbfbfbf !fdbfbfbfbfbf'.split(' ')],
  ['boundaries', 'ed9fbf ee8080 efbfbd f48fbfbf !f4908080'.split(' ')],
  [
    'continuations of nothing',
    ['!80', '!bf', ...[1, 1.5, 2, 2.5, 3].map(n => `!${'80bf80bf80bf'.slice(0, 4 * n)}`), `!${run(0x80, 0xbf)}`],
  ],
  [
    'starts of nothing',
    [
      [0xc0, 0xdf],
      [0xe0, 0xef],
      [0xf0, 0xf7],
      [0xf8, 0xfb],
      [0xfc, 0xfd],
    ].map(([from, to]) => `!${run(from!, to!, '20')}`),
  ],
  ['the last byte is missing', incomplete.map(bytes => `!${bytes}`)],
  ['all of these', [`!${incomplete.join('')}`]],
  ['bytes that never are', '!fe !ff !fefeffff'.split(' ')],
  ['too long for ASCII', '!c0af !e080af !f08080af !f8808080af !fc80808080af'.split(' ')],
  ['the highest that are too long', '!c1bf !e09fbf !f08fbfbf !f887bfbfbf !fc83bfbfbfbf'.split(' ')],
  ['NUL too long', '!c080 !e08080 !f0808080 !f880808080 !fc8080808080'.split(' ')],
  ['surrogates', '!eda080 !edadbf !edae80 !edafbf !edb080 !edbe80 !edbfbf'.split(' ')],
  [
    'pairs of them',
    ['a080', 'adbf', 'ae80', 'afbf'].flatMap(high => ['b080', 'bfbf'].map(low => `!ed${high}ed${low}`)),
  ],
  ['code points that are no characters', ['efbfbe', 'efbfbf', ...nonCharacters]],
  ['specials', Array.from({ length: 7 }, (_, i) => `efbf${(0xb9 + i).toString(16)}`)],
]
for (const [i, [what, all]] of sequences.entries()) {
  for (const [j, one] of all.entries()) {
    const name = `6.${i + 5}.${j + 1}: ${what}, ${one}`
    if (!one.startsWith('!')) echoed(name, hex(one))
    else {
      refused(name, frame(TEXT, hex(one.slice(1))))
      // Not of the suite: the same in parts.
      refused(`${name}, a byte a part`, inFrames(TEXT, hex(one.slice(1)), 1))
    }
  }
}
