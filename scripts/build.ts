// `npm run build`: bundles the program for the package. Node strips types in a checkout only, and one file starts in a
// tenth of the time of a hundred. What the entries share goes into chunks beside them. python/ and conf/ ship as they are.
// An argument names another folder than dist/, which has to be new.

import { build } from 'esbuild'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Every file that a process or a thread is started with. */
const ENTRIES = [
  'src/cli/main.ts',
  'src/cli/front.ts',
  'src/cli/thread.ts',
  'src/http/access/password-thread.ts',
  'src/app/workers/node-worker.ts',
]

const root = fileURLToPath(new URL('..', import.meta.url))
const [given] = process.argv.slice(2)
if (given === undefined) rmSync(`${root}dist`, { recursive: true, force: true })

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ENTRIES,
  outdir: given === undefined ? 'dist' : resolve(given),
  outbase: 'src',
  // Beside main.js, so that import.meta.url has the same depth wherever a module ends up.
  chunkNames: 'cli/chunk-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node26',
  charset: 'utf8',
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
})

for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
  console.log(`${file.padEnd(34)} ${(bytes / 1024).toFixed(1).padStart(8)} kB`)
}
