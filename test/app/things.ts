// The applications in apps/things.py and apps/asgi_things.py behind app_pass, and a look at what their workers are doing: what
// a test waits for when it wants a worker busy, or a request in the queue.

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { eventually } from '../helpers/eventually.ts'
import { get } from '../helpers/raw.ts'
import { fileScope } from '../helpers/scope.ts'
import type { Scope } from '../helpers/scope.ts'
import { serve, type Server } from '../helpers/serve.ts'

export const apps = fileURLToPath(new URL('./apps', import.meta.url))

export interface Things {
  readonly threads?: number
  readonly module?: string
  /** Directives of the `app` block, by default one worker. */
  readonly app?: string
  /** Directives of the location that passes to it, of its server, of http, and of the main level. */
  readonly location?: string
  readonly server?: string
  readonly http?: string
  readonly main?: string
}

export function serveThings(t: Scope, options: Things = {}): Promise<Server> {
  return serve(t, {
    conf: `
worker_processes ${options.threads ?? 1};
${options.main ?? ''}
events { worker_connections 4096; }
http {
  app things {
    directory "${apps}";
    module ${options.module ?? 'things:application'};
    environment PYTHONDONTWRITEBYTECODE=1;
    environment SHUTDOWN_FILE=%%DIR%%/shutdown;
    ${options.app ?? 'workers 1;'}
  }
  ${options.http ?? ''}
  server {
    listen 127.0.0.1:%%PORT_0%%;
    client_max_body_size 100m;
    location / { app_pass things; ${options.location ?? ''} }
    location = /status { app_status; access_log off; }
    ${options.server ?? ''}
  }
}`,
  })
}

/**
 * One server for all tests of a file that only ask and look at their answers; to be called while the file loads. What is
 * looked up in its log has to be told from what others have caused, and none may end, reload or count anything of it.
 */
export function shared(start: (t: Scope) => Promise<Server>): () => Promise<Server> {
  const file = fileScope()
  let server: Promise<Server> | null = null
  return () => (server ??= start(file))
}

export interface Status {
  readonly waiting: number
  readonly counters: Readonly<Record<string, number>>
  readonly workers: readonly { pid: number; in_flight: number; served: number }[]
}

export async function status(server: Server, app = 'things'): Promise<Status> {
  const response = await get(server.port, '/status')
  assert.equal(response.header('content-type'), 'application/json')
  return JSON.parse(response.text).apps[app]
}

/** Waits until so many requests are with the workers, and so many in the queue. */
export async function busy(server: Server, inFlight: number, waiting = 0, app = 'things'): Promise<void> {
  await eventually(async () => {
    const now = await status(server, app)
    const working = now.workers.reduce((sum, worker) => sum + worker.in_flight, 0)
    assert.deepEqual([working, now.waiting], [inFlight, waiting], 'requests with workers and in the queue')
    return true
  })
}

/** Waits until so many workers may be given requests. */
export async function workers(server: Server, count: number): Promise<void> {
  await eventually(async () => (await status(server)).workers.length === count)
}
