import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import test from 'node:test'
import { keyAuthorization, keyKind, keyPem, newKey, signedRequest } from '../../../src/http/acme/keys.ts'
import { certificateRequest, challengeCertificate } from '../../../src/http/acme/requests.ts'
import { needs } from '../../helpers/needs.ts'

const kinds = ['ecdsa:256', 'ecdsa:384', 'ecdsa:521', 'rsa:2048']

test('OpenSSL finds our requests well-formed and well signed, with every kind of key', async t => {
  if (!needs(t, 'openssl')) return
  for (const kind of kinds) {
    const key = await newKey(keyKind(kind)!)
    const input = certificateRequest(key, ['a.example.test', '127.0.0.1', '::1'])
    const text = execFileSync('openssl', ['req', '-inform', 'DER', '-verify', '-noout', '-text'], {
      input,
      stdio: 'pipe',
    })
    assert.match(text.toString(), /DNS:a\.example\.test, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1/, kind)
  }
})

test('a challenge’s certificate holds the proof, and is signed with its own key', async () => {
  for (const kind of kinds) {
    const key = await newKey(keyKind(kind)!)
    const certificate = new X509Certificate(challengeCertificate(key, 'a.test', 'token.thumb'))
    assert.equal(certificate.verify(certificate.publicKey), true, kind)
    assert.equal(certificate.subjectAltName, 'DNS:a.test')
    const proof = createHash('sha256').update('token.thumb').digest()
    assert.ok(certificate.raw.includes(proof))
  }
})

test('kinds of keys', () => {
  assert.deepEqual(keyKind('ecdsa'), { type: 'ecdsa', bits: 256 })
  assert.deepEqual(keyKind('rsa'), { type: 'rsa', bits: 2048 })
  for (const wrong of ['', 'dsa', 'rsa:1024', 'ecdsa:512', 'ecdsa:']) assert.equal(keyKind(wrong), null)
})

test('a signed request names the key until there is an account, and an authorization has its thumbprint', () => {
  // The key of RFC 7515, A.3, whose thumbprint anybody can work out.
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  }
  const key = createPrivateKey({ key: jwk, format: 'jwk' })
  assert.match(keyPem(key), /^-----BEGIN PRIVATE KEY-----/)
  const canonical = `{"crv":"P-256","kty":"EC","x":"${jwk.x}","y":"${jwk.y}"}`
  const thumbprint = createHash('sha256').update(canonical).digest('base64url')
  assert.equal(keyAuthorization('t', key), `t.${thumbprint}`)
  const head = (text: string): Record<string, unknown> => {
    const { protected: encoded } = JSON.parse(text) as { protected: string }
    return JSON.parse(Buffer.from(encoded, 'base64url').toString()) as Record<string, unknown>
  }
  const { jwk: shown, ...rest } = head(signedRequest(key, '', 'https://a/', 'n', {}))
  assert.deepEqual(shown, { crv: 'P-256', kty: 'EC', x: jwk.x, y: jwk.y })
  assert.deepEqual(rest, { alg: 'ES256', nonce: 'n', url: 'https://a/' })
  assert.equal(head(signedRequest(key, 'https://a/1', 'https://a/', 'n', null))['kid'], 'https://a/1')
})
