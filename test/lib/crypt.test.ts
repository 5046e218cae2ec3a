import assert from 'node:assert/strict'
import test from 'node:test'
import { crypt } from '../../src/lib/crypt/crypt.ts'

// Made with the C library's crypt() and `openssl passwd`.
const hashes: readonly (readonly [password: string, hash: string])[] = [
  ['secret', 'abNANd1rDfiNc'],
  ['secret', '$1$salt$ez2vlPGdaLYkJam5pWs/Y1'],
  ['secret', '$apr1$abc$PZF73YJz5hJ9yyI.7OP.R.'],
  ['secret', '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'],
  ['', 'zZO7u0HfQST3A'],
  ['longer than eight characters', './yPRzyX/WeSM'],
  ['', '$1$12345678$xek.CpjQUVgdf/P2N9KQf/'],
  ['x'.repeat(80), '$1$a$2wvDtAxTbmSEXlp..So/j.'],
  ['secret', '$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.'],
  ['x'.repeat(80), '$5$rounds=1400$abc$m3R2i2vw1Ay.34s3yIjotm/TUPSbQiNYtmkFCPDK7u1'],
  ['secret', '$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1'],
  [
    'päss',
    '$6$rounds=1000$abcdefghijklmnop$BaQ.sxRiXgBt6FHkOuxTG9.GD.2tQPom4LZyovygafsAeUKgjc/TrM3UXHQsd/rYlpJNNVPulpNMSMksrZsSZ1',
  ],
  ['', '$6$x$QSmr1Bx2g4O6BzKvdkgOcyU6H91X6I/XBv5pSalMhSPkwdH6Beo3F455xZJg0v//bxVK5F4OE5k1.0xuR26MK0'],
  ['secret', '$2a$04$....................../dCAsp4PpJoDgv6BeaLP6BKrXlBV1oi'],
  ['x'.repeat(80), '$2y$04$ZZZZZZZZZZZZZZZZZZZZZeJPUMK2De3vAKVYMdycSaVXCDjr3fVeK'],
]

for (const [password, hash] of hashes) {
  test(`"${password.slice(0, 12)}" makes ${hash.slice(0, 20)}… again, and another password does not`, () => {
    assert.equal(crypt(Buffer.from(password), hash), hash)
    assert.notEqual(crypt(Buffer.from(`x${password}`.slice(0, 70)), hash), hash)
  })
}

test('what stands behind the salt does not matter', () => {
  const whole = crypt(Buffer.from('a'), '$1$salt$garbage')
  assert.equal(crypt(Buffer.from('a'), '$1$salt'), whole)
})

test('unknown kinds and broken settings are refused, not misread', () => {
  for (const setting of [
    '$y$j9T$abc',
    '$7$x',
    '_J9..rasm',
    '$2b$99$abcdefghijklmnopqrstuu',
    '$2b$05$short',
    '',
    '!',
    'é1',
  ]) {
    assert.equal(crypt(Buffer.from('a'), setting), null, setting)
  }
})

test('the old way sees eight characters', () => {
  assert.equal(crypt(Buffer.from('12345678'), 'ab'), crypt(Buffer.from('123456789'), 'ab'))
})
