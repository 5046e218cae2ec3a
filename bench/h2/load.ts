// CPU per request over HTTP/2: Portico, nginx (where it is on the path) and node:http2, by turns, with h2load's ten connections
// of a hundred streams. The machine may be shared: compare the ratios of a round, not the figures.
//
//   node bench/h2/load.ts [rounds] [requests]

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const rounds = Number(process.argv[2] ?? 3)
const requests = Number(process.argv[3] ?? 30_000)
const TICK_US = 10_000

interface Contestant {
  readonly name: string
  readonly port: number
  readonly child: ChildProcess
}

const dir = mkdtempSync(join(tmpdir(), 'bench-h2-'))
const contestants: Contestant[] = []
try {
  mkdirSync(join(dir, 'logs'))
  writeFileSync(join(dir, '1k'), Buffer.alloc(1024, 'portico '))
  contestants.push(await start('portico', port => [bin('bin/portico'), '-p', dir, '-c', conf('portico', port)]))
  if (has('nginx')) contestants.push(await start('nginx', port => ['nginx', '-p', dir, '-c', conf('nginx', port)]))
  contestants.push(await start('node:http2', port => [process.execPath, bin('bench/h2/node-http2.ts'), `${port}`]))
  for (const path of ['/', '/file/1k']) {
    for (let round = 0; round < rounds; round++) {
      for (const { name, port, child } of contestants) {
        if (name === 'node:http2' && path !== '/') continue
        const before = cpu(child.pid!)
        const said = execFileSync('h2load', [
          '-n',
          `${requests}`,
          '-c',
          '10',
          '-m',
          '100',
          '-t',
          '1',
          `http://127.0.0.1:${port}${path}`,
        ])
        const micros = ((cpu(child.pid!) - before) * TICK_US) / requests
        const [rate = ''] = /[\d.]+ req\/s/.exec(said.toString()) ?? []
        console.log(`${path.padEnd(9)} ${name.padEnd(11)} ${micros.toFixed(1)} µs of CPU a request, ${rate}`)
      }
    }
  }
} finally {
  for (const { child } of contestants) child.kill('SIGTERM')
  rmSync(dir, { recursive: true })
}

async function start(name: string, command: (port: number) => string[]): Promise<Contestant> {
  const port = await freePort()
  const [file, ...args] = command(port)
  const child = spawn(file!, args, { stdio: 'ignore' })
  for (let tries = 0; tries < 100 && !(await answers(port)); tries++) await new Promise(done => setTimeout(done, 100))
  return { name, port, child }
}

function conf(name: string, port: number): string {
  const path = join(dir, `${name}.conf`)
  writeFileSync(
    path,
    `daemon off; worker_processes 1; pid ${name}.pid; error_log stderr; events { }
     http { access_log off; http2 on; keepalive_requests 1000000000;
       server { listen 127.0.0.1:${port}; location / { return 200 "hello\\n"; } location /file/ { alias ${dir}/; } } }`,
  )
  return path
}

function bin(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}

function has(command: string): boolean {
  try {
    execFileSync('which', [command])
    return true
  } catch {
    return false
  }
}

/** Clock ticks of the process and of all below it. */
function cpu(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
  const own = Number(fields[11]) + Number(fields[12])
  return children === '' ? own : children.split(' ').reduce((sum, child) => sum + cpu(Number(child)), own)
}

function freePort(): Promise<number> {
  return new Promise(done => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => done(port))
    })
  })
}

function answers(port: number): Promise<boolean> {
  return new Promise(done => {
    const socket = net.connect(port, '127.0.0.1', () => (socket.destroy(), done(true)))
    socket.on('error', () => done(false))
  })
}
