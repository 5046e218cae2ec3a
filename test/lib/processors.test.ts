import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import test from 'node:test'
import { processors, quotaOf } from '../../src/lib/processors.ts'
import { tempDir, writeFiles } from '../helpers/temp-dir.ts'

const quota = (folder: string, us: string): Record<string, string> => ({
  [`sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: `${us}\n`,
  [`sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: '100000\n',
})

const groups = (line: string): Record<string, string> => ({
  'proc/self/cgroup': `9:name=systemd:/\n4:cpuset:/\n${line}\n1:cpuacct:/odd\n0::/\n`,
})

for (const [what, files, expected] of [
  ['a group of its own', { ...groups('3:cpu:/mine'), ...quota('cpu/mine', '250000') }, 2.5],
  ['controllers mounted together', { ...groups('3:cpuacct,cpu:/mine'), ...quota('cpuacct,cpu/mine', '50000') }, 0.5],
  [
    'a container, which sees its group as the uppermost',
    { ...groups('3:cpu,cpuacct:/docker/1'), ...quota('cpu', '300000') },
    3,
  ],
  [
    'the least of those above it',
    { ...groups('3:cpu:/a/b'), ...quota('cpu/a', '100000'), ...quota('cpu/a/b', '400000') },
    1,
  ],
  ['a group without', { ...groups('3:cpu:/mine'), ...quota('cpu/mine', '-1') }, null],
  ['version 2', { 'proc/self/cgroup': '0::/mine\n', ...quota('cpu', '100000') }, null],
  ['no groups', {}, null],
] as const) {
  test(`processors: ${what}`, t => {
    const root = tempDir(t)
    writeFiles(root, files)
    assert.equal(quotaOf(root), expected)
    const most = expected === null ? Infinity : Math.max(Math.floor(expected), 1)
    assert.equal(processors(root), Math.min(availableParallelism(), most))
  })
}
