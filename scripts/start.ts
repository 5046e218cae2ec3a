// `npm start`: runs the example of examples/ and says where to look at it. The port is 8080 (or PORT) or the next free one;
// everything the run writes is in a folder of its own, removed at the end. Signals are the program's: they are passed on.

import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'

const PORTS_TRIED = 100
const STOP_MS = 10_000

const root = fileURLToPath(new URL('..', import.meta.url))
const examples = `${root}examples/`
const bin = process.env['PORTICO_BIN'] ?? `${root}bin/portico`

const port = await firstFree(Number(process.env['PORT'] ?? 8080))
const run = mkdtempSync(`${tmpdir()}/portico-example-`)
// The front may serve as another user than the one that starts it, and keeps large request bodies here.
chmodSync(run, 0o755)
writeFileSync(`${run}/portico.conf`, configuration())

const child = spawn(bin, ['-p', `${run}/`, '-c', `${run}/portico.conf`, '-e', 'stderr', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, TMPDIR: run },
})
const watch = setInterval(announce, 10)
let signals = 0

for (const name of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP'] as const) process.on(name, () => stop(name))
child.once('error', error => {
  console.error(`cannot run ${bin}: ${error.message}`)
  finish(1)
})
child.once('exit', (code, signal) => finish(code ?? (signal === 'SIGINT' ? 130 : 143)))

/** The example, with this run's port and folder and with paths that do not depend on the prefix. */
function configuration(): string {
  const text = readFileSync(`${examples}portico.conf`, 'utf8')
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)
    .replaceAll('/tmp/portico-example.pid', `${run}/portico.pid`)
    .replaceAll(/^(\s*(?:include|directory|alias)\s+)([^/;\s][^;]*);/gm, `$1"${examples}$2";`)
  // Root would otherwise serve as nobody, who may not be allowed to look into a home folder's checkout.
  return process.getuid?.() === 0 ? `user root;\n${text}` : text
}

/** The pid file appears when the program accepts connections. */
function announce(): void {
  if (!existsSync(`${run}/portico.pid`)) return
  clearInterval(watch)
  const address = styleText(['bold', 'underline'], `http://127.0.0.1:${port}/`)
  console.log(`\n  Portico serves the guest-book at ${address}\n  ${styleText('dim', 'Ctrl-C stops it')}\n`)
}

/** Passed on as it is; a terminal that has gone means stop, while to the program HUP would mean reload. */
function stop(name: NodeJS.Signals): void {
  signals++
  child.kill(name === 'SIGHUP' || signals > 1 ? 'SIGTERM' : name)
  setTimeout(() => child.kill('SIGKILL'), STOP_MS).unref()
}

function finish(code: number): void {
  clearInterval(watch)
  rmSync(run, { recursive: true, force: true })
  process.exit(code)
}

async function firstFree(wanted: number): Promise<number> {
  for (let candidate = wanted; candidate < wanted + PORTS_TRIED; candidate++) {
    if (await isFree(candidate)) return candidate
  }
  throw new Error(`no free port from ${wanted} to ${wanted + PORTS_TRIED - 1}: name another in PORT`)
}

function isFree(candidate: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen(candidate, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
