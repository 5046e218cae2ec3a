// `npm run bench`: the micro-benchmarks of bench/micro, one after another so that they do not disturb each other.
// `npm run bench -- codec` runs those whose name contains the word.

import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const LIMIT_MS = 120_000

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const wanted = process.argv.slice(2)
const files = globSync('bench/micro/*.ts')
  .filter(file => wanted.length === 0 || wanted.some(word => file.includes(word)))
  .sort()
if (files.length === 0) console.error(`no benchmark in bench/micro is named like "${wanted.join(' ')}"`)

const failed = files.filter(file => {
  console.log(`\n${basename(file, '.ts')}`)
  const args = ['--disable-warning=ExperimentalWarning', '--expose-gc', file]
  return spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: LIMIT_MS }).status !== 0
})
if (failed.length > 0) console.error(`\nfailed: ${failed.join(', ')}`)
process.exitCode = failed.length > 0 || files.length === 0 ? 1 : 0
