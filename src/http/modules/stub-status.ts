// stub_status: a page, and variables, with the number of connections (ngx_http_stub_status_module).

import { LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import {
  acceptedConnections,
  activeConnections,
  COUNTS_BYTES,
  COUNTS_KEY,
  inState,
  READING,
  requestsBegun,
  useConnectionCounts,
  WAITING,
  WRITING,
} from '../../zone/connection-counts.ts'
import { httpModule } from '../module.ts'
import { RUNS } from '../notes.ts'
import { respond } from '../output.ts'
import type { HttpRequest } from '../request.ts'

const directives = {
  // Older versions wanted an argument, which meant nothing.
  stub_status: {
    in: SERVER | LOCATION,
    args: [0, 1],
    default: false,
    inheritedBy: 0,
    repeatable: true,
    parse: () => true,
  } satisfies Directive<boolean>,
}

export const stubStatus = httpModule({
  name: 'stub-status',
  directives,
  variables: {
    connections_active: { get: () => `${activeConnections()}` },
    connections_reading: { get: () => `${inState(READING)}` },
    connections_writing: { get: () => `${inState(WRITING)}` },
    connections_waiting: { get: () => `${inState(WAITING)}` },
  },
  setup(_conf, http) {
    http.sharedMemory(COUNTS_KEY, COUNTS_BYTES)
    http.onStart(services => useConnectionCounts(services.shared(COUNTS_KEY)))
  },
  compile(conf, at) {
    if (conf.stub_status) at.content(show, null, RUNS)
  },
})

function show(r: HttpRequest): number {
  if (r.method !== 'GET' && r.method !== 'HEAD') return 405
  const accepted = acceptedConnections()
  const page =
    `Active connections: ${activeConnections()} \n` +
    `server accepts handled requests\n ${accepted} ${accepted} ${requestsBegun()} \n` +
    `Reading: ${inState(READING)} Writing: ${inState(WRITING)} Waiting: ${inState(WAITING)} \n`
  return respond(r, 200, 'text/plain', page)
}
