import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { SocketDirectory } from '../../src/app/pool/socket-directory.ts'
import { tempDir } from '../helpers/index.ts'

test('socket directory: the longest name that is accepted has room for a socket, one byte more is refused with advice', async t => {
  const root = tempDir(t)
  const name = 'shop'
  const longest = 107 - '/portico-XXXXXX/'.length - name.length - '-99999-4194304-9999.sock'.length - 2
  const parent = join(root, 'x'.repeat(longest - root.length - 1))
  mkdirSync(`${parent}x`)
  assert.throws(
    () => new SocketDirectory(`${parent}x`, null, null, name),
    /no sockets can be made in "\/.*" \(its name is 1 bytes too long for paths of Unix sockets\); TMPDIR names another/,
  )
  assert.deepEqual(readdirSync(`${parent}x`), [])
  mkdirSync(parent)
  const directory = new SocketDirectory(parent, null, null, name)
  const server = createServer().listen(join(directory.path, `${name}-99999-4194304-9999.sock`))
  await once(server, 'listening')
  server.close()
  directory.remove()
})
