import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TlsConnection } from '../../src/net/tls.ts'
import { faultOf, type PeerTls } from '../../src/upstream/peer-tls.ts'
import { certificate } from '../helpers/certificates.ts'
import { tempDir } from '../helpers/index.ts'

test('a peer’s certificate is for its name, and for no name that there cannot be', t => {
  const dir = tempDir(t)
  certificate(dir, 'example.org')
  const peerCertificate = new X509Certificate(readFileSync(join(dir, 'example.org.crt')))
  const fault = (name: string): string => {
    const tls = { settings: { verifies: true }, name } as unknown as PeerTls
    return faultOf({ verifyFault: null, peerCertificate } as unknown as TlsConnection, tls)
  }
  assert.equal(fault('example.org'), '')
  assert.equal(fault('example.org:8443'), '')
  for (const name of ['example.com', '', 'a\0b', 'x'.repeat(5000)]) {
    assert.match(fault(name), /^upstream SSL certificate does not match "/, JSON.stringify(name))
  }
})
