import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { cleanMappings } from '../../src/process/program-pages.ts'
import { eventually, get, processTree, serve } from '../helpers/index.ts'

/** Elsewhere nothing is let go, and nobody tells what is in memory. */
const NO_PROC = process.platform !== 'linux' && 'needs the /proc of Linux'

const MAPPING = [
  ['00400000-00500000', 'r--p', '/opt/node', '0'],
  ['00500000-00900000', 'r-xp', '/opt/node', '0'],
  ['00900000-00a00000', 'r--p', '/opt/node', '16'],
  ['00a00000-00b00000', 'rw-p', '/opt/node', '0'],
  ['00b00000-00c00000', 'rw-p', '', '1024'],
  ['7f0000000000-7f0000100000', 'r-xp', '/opt/node', '0'],
] as const

function smaps(): string {
  return MAPPING.map(([range, rights, file, anonymous]) => {
    const inode = file === '' ? '00:00 0' : 'fe:00 5338918'
    return `${range} ${rights} 00000000 ${inode}    ${file}\nSize: 1024 kB\nRss: 512 kB\nAnonymous:        ${anonymous} kB\nVmFlags: rd mr\n`
  }).join('')
}

test('what is let go of the program is what nobody has written to, up to the first thing that is not of it', () => {
  assert.deepEqual(cleanMappings(smaps()), [
    { from: 0x400000n, to: 0x500000n },
    { from: 0x500000n, to: 0x900000n },
  ])
  assert.deepEqual(cleanMappings(''), [])
  assert.deepEqual(cleanMappings('nonsense\nAnonymous: 0 kB\n'), [])
})

test('a program whose pages have been let go works as before', { skip: NO_PROC }, () => {
  const code = `
    import { createHash } from 'node:crypto'
    import { readFileSync } from 'node:fs'
    import { dropProgramPages } from ${JSON.stringify(new URL('../../src/process/program-pages.ts', import.meta.url).href)}
    const size = () => Number(/RssFile:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1])
    const work = () => createHash('sha256').update(new Intl.NumberFormat('de').format(1234.5)).digest('hex')
    const made = work()
    const before = size()
    dropProgramPages()
    const after = size()
    for (let i = 0; i < 20; i++) { dropProgramPages(); if (work() !== made) throw new Error('other') }
    console.log(JSON.stringify({ before, after }))`
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
  const { before, after } = JSON.parse(said) as { before: number; after: number }
  assert.ok(after < before / 2, said)
})

test('a server that has started lets most of its program go', { skip: NO_PROC }, async t => {
  const server = await serve(t, `http { server { listen 127.0.0.1:%%PORT_0%%; return 200 'here'; } }`)
  // A Node that has only just started, and that knows of nothing but itself, has more of the program in memory.
  const idle = spawn(process.execPath, ['-e', 'console.log(); setInterval(() => {}, 1e6)'])
  t.after(() => idle.kill())
  await once(idle.stdout, 'data')
  const tree = processTree(server.pid)
  assert.equal(tree.length, 2)
  await eventually(() => tree.every(({ pid }) => filePages(pid) < filePages(idle.pid!)))
  assert.equal((await get(server.ports[0]!, '/')).body.toString(), 'here')
})

/** Kilobytes in memory that are pages of files. */
function filePages(pid: number): number {
  return Number(/RssFile:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1])
}
