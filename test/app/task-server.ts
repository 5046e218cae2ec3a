// The tasks of apps/tasks.py behind a server whose application (apps/asks.py) asks for them, and a look at their processes.

import { readFileSync, existsSync, copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { PYTHON } from '../helpers/needs.ts'
import { processTree } from '../helpers/processes.ts'
import type { Process } from '../helpers/processes.ts'
import { get } from '../helpers/raw.ts'
import type { Scope } from '../helpers/scope.ts'
import { serve } from '../helpers/serve.ts'
import type { Server } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { apps } from './things.ts'

export interface TaskServer {
  readonly server: Server
  /** Where the application's files are, for tests that change them. */
  readonly dir: string
  /** What tasks have noted, in lines. */
  readonly notes: () => string[]
  readonly notesFile: string
  /** Asks the application to ask for something. */
  readonly ask: (...what: readonly unknown[]) => Promise<any>
}

/** @param app directives of the block: by default a worker that does one task at a time */
export async function serveTasks(t: Scope, kind = 'sync', app = 'dirty_workers 1;', main = ''): Promise<TaskServer> {
  const dir = tempDir(t)
  mkdirSync(dir, { recursive: true })
  for (const name of ['tasks.py', 'asks.py', 'clients.py']) copyFileSync(join(apps, name), join(dir, name))
  const notes = join(tempDir(t), 'notes')
  const server = await serve(t, {
    conf: `
worker_processes 1;
${main}
events {}
http {
  app asks {
    directory ${dir};
    module asks:${kind === 'asgi' ? 'asgi' : 'application'};
    kind ${kind};
    workers 1;
    ${kind === 'threads' ? 'threads 8;' : ''}
    python ${PYTHON};
    environment PYTHONDONTWRITEBYTECODE=1;
    environment NOTES=${notes};
    dirty_app tasks:Counter;
    ${app}
  }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass asks; } }
}`,
  })
  return {
    server,
    dir,
    notesFile: notes,
    notes: () => (existsSync(notes) ? readFileSync(notes, 'utf8').split('\n').slice(0, -1) : []),
    ask: async (...what) => {
      const answer = await get(server.port, `/?${encodeURIComponent(JSON.stringify(what))}`)
      return answer.status === 200 ? JSON.parse(answer.text) : answer.status
    },
  }
}

/** The process that hands tasks out. */
export function arbiterOf(server: Server): Process {
  const all = arbitersOf(server)
  if (all.length !== 1) throw new Error(`there are ${all.length} processes that hand out tasks`)
  return all[0]!
}

export function arbitersOf(server: Server): Process[] {
  const ours = processTree(server.pid).filter(isOurs)
  return ours.filter(one => !ours.some(({ pid }) => pid === one.parent))
}

/** The workers that it has, youngest last. */
export function taskWorkers(server: Server): Process[] {
  const { pid } = arbiterOf(server)
  return processTree(pid).filter(one => one.parent === pid)
}

export async function manyWorkers(server: Server, count: number): Promise<Process[]> {
  await eventually(() => taskWorkers(server).length === count)
  return taskWorkers(server)
}

function isOurs(one: Process): boolean {
  return one.command.includes('portico_bridge/dirty') || one.command.includes('dirty-arbiter')
}
