// What a TLS handshake costs, and what a request over a connection that stands: `node bench/tls/handshakes.ts [SECONDS]`.
// CPU of the server's processes (from /proc) for each full handshake with one request, and for each request, of Portico and,
// where the variable NGINX names its binary, of nginx with the same configuration. ECDSA and RSA. Needs ab and openssl.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PORTICO = fileURLToPath(new URL('../../bin/portico', import.meta.url))
const SECONDS = Number(process.argv[2] ?? 3)
const ROUNDS = 3
const TICK_US = 1e6 / Number(execFileSync('getconf', ['CLK_TCK']))
const FIRST_PORT = 18_440

const dir = mkdtempSync(join(tmpdir(), 'portico-tls-'))
chmodSync(dir, 0o755)
const kinds = { ecdsa: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], rsa: ['-newkey', 'rsa:2048'] }
for (const [name, key] of Object.entries(kinds)) {
  const files = ['-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.crt`)]
  execFileSync('openssl', ['req', '-x509', ...key, '-nodes', '-subj', '/CN=bench', '-days', '2', ...files], {
    stdio: 'pipe',
  })
  chmodSync(join(dir, `${name}.key`), 0o644)
}

const programs = { portico: PORTICO, ...(process.env['NGINX'] === undefined ? {} : { nginx: process.env['NGINX'] }) }
const started: { readonly name: string; readonly child: ChildProcess; readonly port: number }[] = []
try {
  for (const [i, [name, binary]] of Object.entries(programs).entries()) {
    const port = FIRST_PORT + 10 * i
    const file = join(dir, `${name}.conf`)
    writeFileSync(file, configuration(name, port))
    const child = spawn(binary, ['-p', dir, '-c', file, '-e', join(dir, `${name}.err`)], { stdio: 'ignore' })
    started.push({ name, child, port })
  }
  await sleep(3000)
  for (const [i, kind] of Object.keys(kinds).entries()) {
    console.log(`\n${kind}`)
    for (const { name, child, port } of started) {
      const handshakes = median(() => cost(child.pid!, port + i, false))
      const requests = median(() => cost(child.pid!, port + i, true))
      console.log(`  ${name.padEnd(8)} ${handshakes.toFixed(0)} µs a handshake, ${requests.toFixed(1)} µs a request`)
    }
  }
} finally {
  for (const { child } of started) child.kill('SIGTERM')
  await sleep(500)
  rmSync(dir, { recursive: true, force: true })
}

function configuration(name: string, port: number): string {
  const servers = Object.keys(kinds).map(
    (
      kind,
      i,
    ) => `server { listen 127.0.0.1:${port + i} ssl; ssl_certificate ${kind}.crt; ssl_certificate_key ${kind}.key;
      ssl_session_tickets off; ssl_session_cache off; keepalive_requests 10000000; return 200 ok; }`,
  )
  return `daemon off; worker_processes 1; pid ${dir}/${name}.pid; error_log ${dir}/${name}.err; events {}
    http { access_log off; ${servers.join('\n')} }`
}

function median(measure: () => number): number {
  measure()
  return Array.from({ length: ROUNDS }, measure).sort((a, b) => a - b)[Math.floor(ROUNDS / 2)]!
}

/** Microseconds of CPU for each request. */
function cost(pid: number, port: number, keep: boolean): number {
  const before = cpu(pid)
  const args = [
    '-q',
    '-c',
    '16',
    '-t',
    `${SECONDS}`,
    '-n',
    '1000000',
    ...(keep ? ['-k'] : []),
    `https://127.0.0.1:${port}/`,
  ]
  const stdout = execFileSync('ab', args, { stdio: ['ignore', 'pipe', 'ignore'] }).toString()
  const count = Number(/Complete requests:\s+(\d+)/.exec(stdout)![1])
  return ((cpu(pid) - before) * TICK_US) / count
}

/** Ticks of a process and all below it. */
function cpu(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  const own = Number(fields[11]) + Number(fields[12])
  const children = readdirSync(`/proc/${pid}/task`).flatMap(task =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').trim().split(' ').filter(Boolean),
  )
  return children.reduce((sum, child) => sum + cpu(Number(child)), own)
}
