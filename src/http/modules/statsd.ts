// `statsd ADDRESS [prefix=…] [tags=…] [backlog]`: each request is told to a StatsD server, in Gunicorn's three metrics, and who waits to be
// served. And the variables that tell a request's time in Gunicorn's units.

import { HTTP, LOCATION, SERVER, type Site } from '../../config/directive.ts'
import { one } from '../../config/values.ts'
import { ALERT } from '../../log/error-log.ts'
import { Statsd, type StatsdServer } from '../../log/statsd.ts'
import { APPLICATIONS } from '../app/application.ts'
import { Backlog } from '../app/backlog.ts'
import { elapsedUs, noteStart } from '../log/request-time.ts'
import { httpModule, ours } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { RegistryKey, type HttpSetup } from '../setup.ts'

const PORT = 8125

/** Plain data. */
interface Target extends StatsdServer {
  readonly backlog: boolean
}

const BACKLOG = 'statsd backlog'

const directives = {
  statsd: {
    ...one<Target | null>(HTTP | SERVER | LOCATION, null, word => word as never),
    args: [1, 4] as const,
    parse: parseStatsd,
  },
}

function parseStatsd([address, ...parameters]: readonly string[], at: Site): Target | null {
  if (address === 'off') return null
  let prefix = ''
  let tags = ''
  let backlog = false
  for (const parameter of parameters) {
    if (parameter.startsWith('prefix=')) prefix = parameter.slice(7)
    else if (parameter.startsWith('tags=')) tags = parameter.slice(5)
    else if (parameter === 'backlog') backlog = true
    else at.fail(`invalid parameter "${parameter}"`)
  }
  if (address!.startsWith('unix:'))
    return { host: '', port: 0, path: at.prefixPath(address!.slice(5)), prefix, tags, backlog }
  const parts = /^(?:\[([^\]]+)\]|([^:[\]/]+))(?::(\d{1,5}))?$/.exec(address!)
  const port = Number(parts?.[3] ?? PORT)
  if (parts === null || port < 1 || port > 65535) return at.fail(`invalid address "${address}" in "statsd" directive`)
  return { host: (parts[1] ?? parts[2])!, port, path: '', prefix, tags, backlog }
}

export const statsd = httpModule({
  name: 'statsd',
  directives,
  variables: ours({
    request_time_s: { get: r => `${Math.trunc(elapsedUs(r) / 1e6)}` },
    request_time_ms: { get: r => `${Math.trunc(elapsedUs(r) / 1000)}` },
    request_time_us: { get: r => `${elapsedUs(r)}` },
    request_time_precise: { get: r => (elapsedUs(r) / 1e6).toFixed(6) },
  }),
  compile(conf, at, http) {
    if (conf.statsd === null) return
    if (at.kind === 'server') at.step('post-read', noteStart, null)
    else if (at.has('statsd')) at.step('rewrite', noteStart, null)
    at.log(tell, clientFor(conf.statsd, http))
  },
})

interface Client {
  statsd: Statsd | null
}

const clients = new RegistryKey<Client>('statsd server')

/** One for each server, however many locations tell it. */
function clientFor(server: Target, http: HttpSetup): Client {
  const registry = http.registry(clients)
  const key = JSON.stringify(server)
  const known = registry.get(key)
  if (known !== null) return known
  const client: Client = { statsd: null }
  registry.set(key, client)
  if (server.backlog) http.sharedMemory(BACKLOG, Backlog.bytes)
  let backlog: Backlog | null = null
  http.onStart(services => {
    const told = new Statsd(server, problem => services.errorLog.log(ALERT, problem))
    client.statsd = told
    const tellBacklog = (waiting: number): void => told.histogram('gunicorn.backlog', waiting)
    if (server.backlog)
      backlog = new Backlog(services, services.shared(BACKLOG), http.registry(APPLICATIONS), tellBacklog)
  })
  http.onStop(() => {
    backlog?.stop()
    client.statsd?.close()
  })
  return client
}

function tell(r: HttpRequest, { statsd }: Client): void {
  if (statsd === null) return
  statsd.timing('gunicorn.request.duration', elapsedUs(r) / 1000)
  statsd.increment('gunicorn.requests')
  statsd.increment(`gunicorn.request.status.${r.status}`)
}
