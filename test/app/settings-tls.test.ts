// Options of `portico serve` that go together, or do not: what is said where one lacks the other, and what they come to.

import assert from 'node:assert/strict'
import test from 'node:test'
import { UsageError } from '../../src/app/settings/setting.ts'
import { configuration } from './serve-configuration.ts'

const refused: Readonly<Record<string, string>> = {
  '--keyfile k a': '--keyfile needs --certfile',
  '--hsts 60 a': '--hsts needs --certfile',
  '--certfile c --cert-reqs 2 a': '--cert-reqs needs --ca-certs',
  '--protocol uwsgi --certfile c a': '--protocol uwsgi goes neither with TLS nor with the PROXY protocol',
  '--protocol uwsgi --proxy-protocol auto a': '--protocol uwsgi goes neither with TLS nor with the PROXY protocol',
  '--dirty-app tasks:One --dirty-workers 1 server.js': '--dirty-app is for applications in Python',
  '--access-logfile logs/$host a': 'the name of the access log cannot have a "$": "/srv/logs/$host"',
}

for (const [line, why] of Object.entries(refused)) {
  test(`"${line}" is refused`, () => {
    assert.throws(
      () => configuration(line),
      error => error instanceof UsageError && error.message === why,
    )
  })
}

test('what is said of TLS is in the configuration: one file for both, clients’ certificates, ciphers, and the field for browsers', () => {
  const lines = configuration('--certfile c --cert-reqs 1 --ca-certs /ca --ciphers ECDHE+AESGCM --hsts 60 a')
    .split('\n')
    .map(line => line.trim())
  const expected = [
    'ssl_certificate /srv/c;',
    'ssl_certificate_key /srv/c;',
    'ssl_client_certificate /ca;',
    'ssl_verify_client optional;',
    'ssl_ciphers ECDHE+AESGCM;',
    'add_header Strict-Transport-Security "max-age=60" always;',
  ]
  for (const line of expected) assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`)
})

test('tasks without processes are none, whatever the application', () => {
  assert.doesNotMatch(configuration('--dirty-app tasks:One --dirty-workers 0 server.js'), /dirty_/)
})
