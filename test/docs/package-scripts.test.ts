// The scripts of package.json run on the pinned Node, whichever npm has installed it and whatever "node" is in the PATH.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { tempDir } from '../helpers/temp-dir.ts'
import { root } from './blocks.ts'

const platform = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64'

test('package: the scripts of package.json start with scripts/node.sh, not with the "node" of the PATH', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const foreign = Object.entries(scripts).filter(
    ([, text]) => text.includes('.ts') && !text.startsWith('sh scripts/node.sh '),
  )
  assert.deepEqual(foreign, [])
})

test('package: scripts/node.sh runs the Node of node_modules, from any folder, and what that starts finds it, too', t => {
  const dir = tempDir(t)
  const pinned = `node_modules/node-${platform}/bin/node`
  mkdirSync(join(dir, 'scripts'))
  copyFileSync(join(root, 'scripts/node.sh'), join(dir, 'scripts/node.sh'))
  program(join(dir, 'other/node'), 'echo other "$@"')
  const answer = (cwd: string, script: string): string =>
    spawnSync('sh', [script, 'a b', 'c'], {
      cwd,
      env: { PATH: `${dir}/other:${process.env['PATH']}` },
      encoding: 'utf8',
    }).stdout
  assert.equal(answer(dir, 'scripts/node.sh'), 'other a b c\n')
  program(join(dir, pinned), 'echo pinned "$@"; command -v node')
  const expected = `pinned a b c\n${dir}/${pinned}\n`
  assert.equal(answer(dir, 'scripts/node.sh'), expected)
  assert.equal(answer('/', join(dir, 'scripts/node.sh')), expected)
})

function program(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
}
