// Memory of eight Django workers, here and under Gunicorn without --preload: what the kernel counts as theirs (PSS: a page that
// several processes share is divided among them), after each worker has served some requests. Ours preload the application, as
// they do in an app block.
//
//   node bench/memory.ts [workers]
//
// Needs Debian's python3-django and gunicorn.

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const workers = Number(process.argv[2] ?? 8)
const portico = fileURLToPath(new URL('../bin/portico', import.meta.url))
const REQUESTS = 400

const django = `
from django.conf import settings
settings.configure(SECRET_KEY='x', ROOT_URLCONF=__name__, ALLOWED_HOSTS=['*'],
  INSTALLED_APPS=['django.contrib.admin', 'django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions',
    'django.contrib.messages'],
  DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},
  MIDDLEWARE=['django.contrib.sessions.middleware.SessionMiddleware', 'django.middleware.common.CommonMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware', 'django.contrib.messages.middleware.MessageMiddleware'],
  TEMPLATES=[{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True,
    'OPTIONS': {'context_processors': ['django.template.context_processors.request',
      'django.contrib.auth.context_processors.auth', 'django.contrib.messages.context_processors.messages']}}])
import django
django.setup()
from django.contrib import admin
from django.urls import path
urlpatterns = [path('', admin.site.urls)]
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
`

interface Usage {
  /** KB, of all processes and of Python's alone. */
  readonly all: number
  readonly python: number
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

function descendants(pid: number): number[] {
  const all = [pid]
  for (const one of all) {
    for (const thread of readdirSync(`/proc/${one}/task`))
      all.push(...readFileSync(`/proc/${one}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number))
  }
  return all
}

function usage(pid: number): Usage {
  let all = 0
  let python = 0
  for (const one of descendants(pid)) {
    const size = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/smaps_rollup`, 'latin1'))?.[1] ?? 0)
    all += size
    if (/libpython|\/python3/.test(readFileSync(`/proc/${one}/maps`, 'latin1'))) python += size
  }
  return { all, python }
}

async function ask(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const request = http.get({ port, host: '127.0.0.1', path: '/login/', agent: false }, response => {
      response.resume()
      response.once('end', () => resolve(response.statusCode === 200))
    })
    request.once('error', () => resolve(false))
  })
}

async function measure(command: string, args: readonly string[], port: number, dir: string): Promise<Usage> {
  const child: ChildProcess = spawn(command, args, { cwd: dir, stdio: 'ignore', detached: true })
  try {
    for (let i = 0; i < 200 && !(await ask(port)); i++) await new Promise(resolve => setTimeout(resolve, 50))
    // Sixteen at a time, so that all workers get their share.
    for (let i = 0; i < REQUESTS / 16; i++) {
      const good = await Promise.all(Array.from({ length: 16 }, () => ask(port)))
      if (good.includes(false)) throw new Error(`${command} does not serve the page`)
    }
    return usage(child.pid!)
  } finally {
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
}

const dir = mkdtempSync(join(tmpdir(), 'portico-memory-'))
try {
  writeFileSync(join(dir, 'site_of_bench.py'), django)
  const tell = (name: string, { all, python }: Usage): void =>
    console.log(
      `${name.padEnd(28)} ${(all / 1024).toFixed(0).padStart(5)} MB, of that Python ${(python / 1024).toFixed(0)} MB`,
    )
  const app = ['-w', `${workers}`, 'site_of_bench:application']
  let port = await freePort()
  const gunicorn = await measure('gunicorn', ['-b', `127.0.0.1:${port}`, ...app], port, dir)
  tell('gunicorn', gunicorn)
  port = await freePort()
  const ours = await measure(portico, ['serve', '--preload', '-b', `127.0.0.1:${port}`, ...app], port, dir)
  tell('portico serve', ours)
  console.log(
    `workers: ${(ours.python / gunicorn.python).toFixed(2)} of Gunicorn's; everything: ${(ours.all / gunicorn.all).toFixed(2)}`,
  )
} finally {
  rmSync(dir, { recursive: true, force: true })
}
