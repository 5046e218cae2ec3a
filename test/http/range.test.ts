import assert from 'node:assert/strict'
import test from 'node:test'
import { MultipartText, parseRanges, UNLIMITED, UNSATISFIABLE, WHOLE } from '../../src/http/range.ts'

const cases: readonly (readonly [text: string, length: number, expected: unknown])[] = [
  ['0-0', 10, [[0, 1]]],
  ['0-', 10, [[0, 10]]],
  ['5-', 10, [[5, 10]]],
  ['-3', 10, [[7, 10]]],
  ['-30', 10, [[0, 10]]],
  [' 2 - 4 ', 10, [[2, 5]]],
  ['2-40', 10, [[2, 10]]],
  [
    '0-1,3-4',
    10,
    [
      [0, 2],
      [3, 5],
    ],
  ],
  [
    '0-1, 20-, 3-4',
    10,
    [
      [0, 2],
      [3, 5],
    ],
  ],
  ['10-', 10, UNSATISFIABLE],
  ['-0', 10, UNSATISFIABLE],
  ['5-3', 10, UNSATISFIABLE],
  ['x', 10, UNSATISFIABLE],
  ['', 10, UNSATISFIABLE],
  ['0-1,', 10, UNSATISFIABLE],
  ['- 3', 10, UNSATISFIABLE],
  ['1-2-3', 10, UNSATISFIABLE],
  ['9223372036854775807-', 10, UNSATISFIABLE],
  ['9223372036854775808-', 10, UNSATISFIABLE],
  ['0-9223372036854775808', 10, UNSATISFIABLE],
  ['0-9223372036854775807', 10, [[0, 10]]],
  ['0-', 0, WHOLE],
  ['-1', 0, WHOLE],
  ['0-8,0-8', 10, WHOLE],
]

test('ranges are read as nginx reads them', () => {
  for (const [text, length, expected] of cases) {
    const got = parseRanges(text, length)
    const plain = typeof got === 'string' ? got : got.map(({ start, end }) => [start, end])
    assert.deepEqual(plain, expected, `"${text}" of ${length}`)
  }
})

test('max_ranges: one range too many makes the whole be sent', () => {
  assert.equal(parseRanges('0-0,2-2,4-4', 100, 2), WHOLE)
  assert.equal((parseRanges('0-0,2-2', 100, 2) as readonly unknown[]).length, 2)
})

test('ranges whose frames outgrow the file make the whole be sent', () => {
  const many = Array.from({ length: 40 }, (_, i) => `${i * 2}-${i * 2}`).join(',')
  assert.equal(parseRanges(many, 1000, UNLIMITED), WHOLE)
  assert.equal((parseRanges(many, 100_000, UNLIMITED) as readonly unknown[]).length, 40)
})

test('multipart/byteranges: the announced length is that of the text and the parts', () => {
  const text = new MultipartText(
    [
      { start: 0, end: 2 },
      { start: 5, end: 9 },
    ],
    'text/plain',
    10,
  )
  const body = `${text.heads[0]}01${text.heads[1]}5678${text.tail}`
  assert.equal(body.length, text.length)
  assert.equal(
    body,
    `\r\n--${text.boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01` +
      `\r\n--${text.boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-8/10\r\n\r\n5678` +
      `\r\n--${text.boundary}--\r\n`,
  )
})

test('any text is parsed or refused, and ranges lie within the length', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  let state = seed
  const random = (max: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % max
  }
  const letters = '0123456789--,,  x\t'
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: random(12) }, () => letters[random(letters.length)]).join('')
    const length = random(30)
    const got = parseRanges(text, length)
    if (typeof got === 'string') continue
    assert.ok(got.length > 0, `seed ${seed}: "${text}"`)
    for (const { start, end } of got) assert.ok(start >= 0 && start < end && end <= length, `seed ${seed}: "${text}"`)
  }
})
