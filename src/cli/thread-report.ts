// What a front thread tells of itself when the master asks (`show status`): the connections, which all threads count together,
// and of each application what the thread has of it.

import type { AppSnapshot } from '../app/dispatch/load.ts'
import type { Application } from '../http/app/application.ts'
import {
  acceptedConnections,
  activeConnections,
  inState,
  READING,
  requestsBegun,
  WAITING,
  WRITING,
} from '../zone/connection-counts.ts'

/** Master → every thread. */
export interface ReportRequest {
  readonly id: number
}

/** Thread → master. JSON-able. */
export interface ThreadReport {
  /** That of the request. */
  readonly id: number
  readonly thread: number
  readonly connections: Readonly<Record<'active' | 'reading' | 'writing' | 'waiting' | 'accepted', number>>
  readonly requests: number
  readonly apps: readonly AppPart[]
}

export interface AppPart {
  readonly name: string
  /** Of these the thread's own: requests that wait with it. */
  readonly backlog: number
  readonly snapshot: AppSnapshot
}

export function threadReport(id: number, thread: number, applications: Iterable<Application>): ThreadReport {
  const apps: AppPart[] = []
  for (const one of applications) {
    const snapshot = one.snapshot()
    if (snapshot !== null) apps.push({ name: one.name, backlog: one.backlog, snapshot })
  }
  return {
    id,
    thread,
    connections: {
      active: activeConnections(),
      reading: inState(READING),
      writing: inState(WRITING),
      waiting: inState(WAITING),
      accepted: acceptedConnections(),
    },
    requests: requestsBegun(),
    apps,
  }
}
