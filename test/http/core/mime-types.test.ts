// What `-t` says of directives of nginx's core that lists and folders are given to.

import assert from 'node:assert/strict'
import test from 'node:test'
import { check as checkFile } from '../../helpers/check.ts'
import { tempDir, writeFiles, type Scope } from '../../helpers/index.ts'

function check(t: Scope, http: string): string {
  const dir = tempDir(t)
  writeFiles(dir, { 'a.conf': `events {} http { ${http} }`, 'logs/x': '' })
  return checkFile(dir, 'a.conf', { errorLog: 'e.log' }).stderr
}

test('an extension that stands twice is warned about, and the last type holds', t => {
  const said = check(t, 'types { text/html html htm; text/plain txt HTML; } gzip_types text/css TEXT/CSS;')
  assert.match(
    said,
    /\[warn\] duplicate extension "html", content type: "text\/plain", previous content type: "text\/html" in /,
  )
  assert.match(said, /\[warn\] duplicate MIME type "text\/css" in /)
  assert.match(said, /test is successful/)
})

test('levels of folders for temporary files are numbers', t => {
  assert.match(
    check(t, 'client_body_temp_path body 1 x;'),
    /\[emerg\] "client_body_temp_path" directive invalid value in /,
  )
})
