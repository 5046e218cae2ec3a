// What a scenario test imports: servers, clients and waiting. The idea of each is in its own file.

export { eventually, within } from './eventually.ts'
export { gunicorn } from './gunicorn.ts'
export type { Gunicorn } from './gunicorn.ts'
export { load } from './load.ts'
export type { LoadResult } from './load.ts'
export { MessageReader } from './message.ts'
export type { Request, Response } from './message.ts'
export {
  findCommand,
  hasPython,
  isMissing,
  LISTEN6,
  LOOPBACK6,
  needs,
  needsIpv6,
  needsOtherUsers,
  PYTHON,
} from './needs.ts'
export { origin, reply } from './origin.ts'
export type { Origin, OriginRequest } from './origin.ts'
export { accepts, freePort, freePorts } from './ports.ts'
export type { Address } from './ports.ts'
export { isAlive, processTree, signalTo } from './processes.ts'
export type { Process } from './processes.ts'
export { get, raw, RawClient, request, requestBytes } from './raw.ts'
export type { RequestOptions } from './raw.ts'
export { responder } from './responder.ts'
export { atEnd, fileScope } from './scope.ts'
export type { Scope } from './scope.ts'
export { CHECKOUT, PORTICO, serve, serveApp } from './serve.ts'
export type { Server, ServeOptions } from './serve.ts'
export { tempDir, writeFiles } from './temp-dir.ts'
