// What clients cost that wait for a slow upstream: `node bench/load/waiting.ts [COUNT]`. So many requests are asked at once
// of an upstream that answers none; then the memory of all of the program's processes is read (Pss: what is shared is
// counted once), and before and after, so that the share of one waiting client is known. Then everybody is answered.
//
// Each needs two descriptors in the program: COUNT is cut down to what the limit on open files allows, which is told.

import { fork, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const WANTED = 10_000
const MAX_MB = 150
const RESERVE = 300
const PORTICO = fileURLToPath(new URL('../../bin/portico', import.meta.url))

const [, self, role, ...args] = process.argv
if (role === 'upstream') upstream()
else if (role === 'clients') clients(Number(args[0]), Number(args[1]))
else await measure(Number(role ?? WANTED))

/** Counts requests, and answers when it is told to. */
function upstream(): void {
  const waiting: net.Socket[] = []
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      waiting.push(socket)
      if (waiting.length % 50 === 0) process.send!({ waiting: waiting.length })
    })
  })
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
    process.send!({ port: (server.address() as net.AddressInfo).port }),
  )
  process.on('message', () => {
    for (const socket of waiting) socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  })
}

function clients(port: number, count: number): void {
  let opened = 0
  let answered = 0
  const open = (): void => {
    if (opened++ >= count) return
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write('GET /slow HTTP/1.1\r\nHost: example.com\r\nUser-Agent: waiting\r\nAccept: */*\r\n\r\n')
      open()
    })
    socket.once('data', () => {
      if (++answered === count) process.send!({ answered })
    })
    socket.on('error', error => process.send!({ failed: error.message }))
  }
  for (let i = 0; i < 64; i++) open()
}

async function measure(wanted: number): Promise<void> {
  const limit = Number(/Max open files +(\d+)/.exec(readFileSync('/proc/self/limits', 'latin1'))![1])
  const count = Math.floor(Math.min(wanted, (limit - RESERVE) / 2) / 50) * 50
  if (count < wanted) console.log(`only ${count} of ${wanted}: no more than ${limit} files may be open`)
  const dir = mkdtempSync(join(tmpdir(), 'waiting-'))
  const children: ChildProcess[] = []
  try {
    const up = fork(self!, ['upstream'])
    children.push(up)
    const upstreamPort = (await message(up, 'port'))['port']!
    const port = await freePort()
    writeFileSync(join(dir, 'nginx.conf'), configuration(dir, port, upstreamPort))
    const program = spawn(PORTICO, ['-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log'], { stdio: 'inherit' })
    children.push(program)
    await accepts(port)
    const before = memory(program.pid!)
    const crowd = fork(self!, ['clients', String(port), String(count)])
    children.push(crowd)
    crowd.on('message', (said: { failed?: string }) => said.failed !== undefined && console.log(said.failed))
    await message(up, 'waiting', count)
    await new Promise(resolve => setTimeout(resolve, 1000))
    const during = memory(program.pid!)
    const each = ((during - before) * 1024 * 1024) / count
    console.log(
      `idle: ${before.toFixed(0)} MB; ${count} waiting: ${during.toFixed(0)} MB, ${each.toFixed(0)} bytes each`,
    )
    const whole = before + (each * wanted) / 1024 / 1024
    if (count < wanted) console.log(`${wanted} would take ${whole.toFixed(0)} MB`)
    up.send('answer')
    await message(crowd, 'answered', count)
    console.log('all were answered')
    process.exitCode = whole <= MAX_MB ? 0 : 1
  } finally {
    for (const child of children) child.kill()
    rmSync(dir, { recursive: true })
  }
}

function configuration(dir: string, port: number, upstreamPort: number): string {
  return `daemon off; pid ${dir}/pid; worker_processes 1; ${process.getuid!() === 0 ? 'user root;' : ''}
    events { worker_connections 30000; }
    http { access_log off; proxy_temp_path ${dir}/temp; client_body_temp_path ${dir}/body;
      server { listen 127.0.0.1:${port} backlog=4096; location / { proxy_pass http://127.0.0.1:${upstreamPort}; } } }\n`
}

/** The first message that has it, or has as much. */
function message(from: ChildProcess, name: string, least = 0): Promise<Record<string, number>> {
  return new Promise(resolve => {
    const listen = (said: any): void => {
      if (!(said[name] >= least)) return
      from.off('message', listen)
      resolve(said)
    }
    from.on('message', listen)
  })
}

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })
}

async function accepts(port: number): Promise<void> {
  for (;;) {
    const there = await new Promise<boolean>(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (there) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** MB of a process and all below it. */
function memory(pid: number): number {
  const pss = Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))![1]) / 1024
  const below = readdirSync(`/proc/${pid}/task`).flatMap(task =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean),
  )
  return below.reduce((sum, child) => sum + memory(Number(child)), pss)
}
