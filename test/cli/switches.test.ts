import assert from 'node:assert/strict'
import test from 'node:test'
import { parseSwitches, SwitchError } from '../../src/cli/switches.ts'

test('letters may be joined, and values may follow with or without a blank', () => {
  const joined = parseSwitches(['-tq', '-c/etc/a.conf', '-p', '/srv', '-sreload'])
  assert.equal(joined.test && joined.quiet, true)
  assert.equal(joined.file, '/etc/a.conf')
  assert.equal(joined.prefix, '/srv')
  assert.equal(joined.signal, 'reload')
})

test('-T implies -t, -V and -h imply -v', () => {
  assert.equal(parseSwitches(['-T']).test, true)
  assert.equal(parseSwitches(['-V']).version, true)
  assert.equal(parseSwitches(['-?']).help, true)
  assert.equal(parseSwitches(['-?']).version, true)
})

test('a path outside of ASCII is kept as its bytes', () => {
  assert.equal(parseSwitches(['-c', 'é.conf']).file, Buffer.from('é.conf').toString('latin1'))
})

for (const [args, problem] of [
  [['x'], 'invalid option: "x"'],
  [['-x'], 'invalid option: "x"'],
  [['-tx'], 'invalid option: "x"'],
  [['-p'], 'option "-p" requires directory name'],
  [['-c'], 'option "-c" requires file name'],
  [['-e'], 'option "-e" requires file name'],
  [['-g'], 'option "-g" requires parameter'],
  [['-s'], 'option "-s" requires parameter'],
  [['-s', 'kill'], 'invalid option: "-s kill"'],
] as const) {
  test(`${args.join(' ')} is refused: ${problem}`, () => {
    assert.throws(() => parseSwitches(args), { message: problem, constructor: SwitchError })
  })
}
