// What an issuer has come to, in memory and on disk, where there is no room for it.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { createPrivateKey } from 'node:crypto'
import { Issuer, type CertificateOrder, type IssuerSettings } from '../../../src/http/acme/issuer.ts'
import { StateFolder } from '../../../src/http/acme/state.ts'
import { AcmeStore } from '../../../src/http/acme/store.ts'
import { ErrorLog, LogFiles, WARN } from '../../../src/log/error-log.ts'
import { certificate } from '../../helpers/certificates.ts'
import { atEnd, tempDir } from '../../helpers/index.ts'

function stores(): [AcmeStore, AcmeStore] {
  const memory = new SharedArrayBuffer(1024)
  return [0, 1].map(() => {
    const store = new AcmeStore()
    store.use(memory)
    return store
  }) as [AcmeStore, AcmeStore]
}

test('acme: what the shared memory has no room for is in no thread', () => {
  const [writer, reader] = stores()
  const small = { certificate: 'a', key: 'b' }
  const large = { certificate: 'a'.repeat(1000), key: 'b' }
  const challenge = { type: 'http-01', token: 'token', authorization: 'answer' } as const
  assert.equal(writer.setCertificate('one', small), true)
  assert.equal(writer.addChallenge('one', challenge), true)
  assert.equal(writer.setCertificate('one', large), false)
  assert.equal(writer.setCertificate('two', large), false)
  assert.equal(writer.setAccount('issuer', 'k'.repeat(1000)), false)
  assert.equal(writer.addChallenge('one', { ...challenge, token: 't'.repeat(1000) }), false)
  assert.equal(writer.addChallenge('two', { ...challenge, token: 't'.repeat(1000) }), false)
  for (const store of [writer, reader]) {
    assert.deepEqual(store.certificate('one'), small)
    assert.equal(store.certificate('two'), null)
    assert.equal(store.account('issuer'), null)
    assert.deepEqual(store.challengeFor('one'), challenge)
    assert.equal(store.challengeFor('two'), null)
  }
  writer.dropChallenge('one', 'another order')
  assert.deepEqual(reader.challengeFor('one'), challenge)
  writer.dropChallenge('one', 'token')
  assert.equal(reader.challengeFor('one'), null)
})

test('acme: of files that belong together, those of before stay where not all can be written', t => {
  const dir = tempDir(t)
  const state = new StateFolder(dir)
  state.write({ 'a.key': 'old key', 'a.crt': 'old certificate' })
  mkdirSync(join(dir, 'a.crt.tmp'))
  assert.throws(() => state.write({ 'a.key': 'new key', 'a.crt': 'new certificate' }))
  rmdirSync(join(dir, 'a.crt.tmp'))
  assert.deepEqual([state.read('a.key'), state.read('a.crt')], ['old key', 'old certificate'])
  assert.deepEqual(readdirSync(dir).sort(), ['a.crt', 'a.key'])
})

test('acme: a certificate that could not be written is told of once, and written when there is room', t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const [text, key] = ['a.crt', 'a.key'].map(name => readFileSync(join(dir, name), 'latin1')) as [string, string]
  const [store] = [new AcmeStore()]
  store.use(new SharedArrayBuffer(65536))
  const order = { id: 'a', identifiers: ['a.test'], key: { type: 'ecdsa', bits: 256 } } as CertificateOrder
  assert.equal(store.setCertificate('a', { certificate: text, key }), true)
  const folder = join(dir, 'state')
  const settings = { name: 'test', state: new StateFolder(folder) } as IssuerSettings
  const files = new LogFiles()
  const errorLog = new ErrorLog([{ path: join(dir, 'error.log'), level: WARN }], files)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const issuer = new Issuer(settings, [order], store, errorLog)
  atEnd(t, () => {
    issuer.stop()
    files.close()
  })
  mkdirSync(join(folder, 'a.crt.tmp'), { recursive: true })
  issuer.start()
  for (let i = 0; i < 3; i++) t.mock.timers.tick(600_000)
  assert.deepEqual(readdirSync(folder), ['a.crt.tmp'])
  rmdirSync(join(folder, 'a.crt.tmp'))
  t.mock.timers.tick(600_000)
  assert.deepEqual(readdirSync(folder).sort(), ['a.crt', 'a.key'])
  assert.ok(createPrivateKey(readFileSync(join(folder, 'a.key'))).equals(createPrivateKey(key)))
  const told = readFileSync(join(dir, 'error.log'), 'latin1')
  assert.equal(told.match(/\[warn\] .*issuer "test": cannot keep "a" in the state folder: EISDIR/g)?.length, 1)
})
