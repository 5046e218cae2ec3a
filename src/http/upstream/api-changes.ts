// Servers added, altered and removed through the API. They are in use in all threads at once, and in the group's state file
// if it has one. Names of errors are NGINX Plus's.

import { parseNumber, parseSeconds, parseTime } from '../../config/units.ts'
import { ERR } from '../../log/error-log.ts'
import { CHILD, TEMPLATE } from '../../upstream/peer-slots.ts'
import type { PeerOptions } from '../../upstream/peer.ts'
import { isWeight, readServer, serverLine, SID_MAX } from '../../upstream/server.ts'
import type { ServerDeclaration } from '../../upstream/server.ts'
import type { Entry } from '../../upstream/shared-peers.ts'
import type { HttpRequest } from '../request.ts'
import { declarationsOf, serverViewById, serverViews } from './api-views.ts'
import type { View } from './api-views.ts'
import { writeState } from './state-file.ts'
import type { ZoneGroup } from './zone-group.ts'

/** Why the API says no. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, text: string, code: string) {
    super(text)
    this.status = status
    this.code = code
  }
}

const FORMAT = 'UpstreamConfFormatError'

/** The members of an object of plain values; all else is refused. */
function readObject(text: string): Map<string, string | number | boolean> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new ApiError(415, 'json error', 'JsonError')
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new ApiError(415, 'json error', 'JsonError')
  const members = new Map<string, string | number | boolean>()
  for (const [name, value] of Object.entries(json)) {
    if (typeof value === 'object') throw new ApiError(400, 'nested object or list', FORMAT)
    members.set(name, value as string | number | boolean)
  }
  return members
}

interface Parameter {
  isRight(text: string): boolean
  /** The error if it is not. */
  readonly code: string
}

/** By the directive's word. A map, for members may have any name, `constructor` too. */
const parameters: ReadonlyMap<string, Parameter> = new Map([
  ['weight', { isRight: text => isWeight(parseNumber(text)), code: 'UpstreamBadWeight' }],
  ['max_conns', { isRight: text => parseNumber(text) !== null, code: 'UpstreamBadMaxConns' }],
  ['max_fails', { isRight: text => parseNumber(text) !== null, code: 'UpstreamBadMaxFails' }],
  ['fail_timeout', { isRight: text => parseSeconds(text) !== null, code: 'UpstreamBadFailTimeout' }],
  ['slow_start', { isRight: text => parseTime(text) !== null, code: 'UpstreamBadSlowStart' }],
  ['route', { isRight: text => text.length <= SID_MAX && isWord(text), code: 'UpstreamBadRoute' }],
  ['service', { isRight: text => text !== '' && isWord(text), code: 'UpstreamBadService' }],
] satisfies (readonly [string, Parameter])[])
const flags: ReadonlySet<string> = new Set(['backup', 'down', 'drain'])

/** Can a line of a state file have it as it is? */
function isWord(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return !/[\s;{}#"'\\\x00-\x20\x7f]|[^\x00-\xff]/.test(text)
}

/** The words of a `server` line. */
function wordsOf(members: ReadonlyMap<string, string | number | boolean>): string[] {
  const words: string[] = []
  for (const [name, value] of members) {
    if (name === 'server') continue
    if (flags.has(name)) {
      if (typeof value !== 'boolean') throw new ApiError(400, `invalid "${name}" value`, FORMAT)
      if (value) words.push(name)
      continue
    }
    const known = parameters.get(name)
    if (known === undefined) throw new ApiError(400, `unknown parameter "${name}"`, FORMAT)
    const text = String(value)
    if (typeof value === 'boolean' || !known.isRight(text)) {
      throw new ApiError(400, `invalid "${name}" value`, known.code)
    }
    // An empty route is none.
    if (text !== '') words.push(`${name}=${text}`)
  }
  return words
}

export function addServer(zone: ZoneGroup, text: string, r: HttpRequest): View {
  const members = readObject(text)
  const server = members.get('server')
  if (typeof server !== 'string' || server === '' || !isWord(server)) {
    throw new ApiError(400, server === undefined ? 'missing "server" argument' : 'invalid "server" value', FORMAT)
  }
  const refusal = {
    fail: (problem: string): never => {
      const code = problem.includes('not support') ? 'UpstreamNoBackup' : 'UpstreamBadAddress'
      throw new ApiError(400, problem, code)
    },
  }
  const declaration = readServer([server, ...wordsOf(members), 'resolve'], zone.unsupported, refusal)
  if (declaration.resolve && zone.resolver === null) {
    throw new ApiError(400, 'no resolver defined to resolve names at run time', 'UpstreamConfNoResolver')
  }
  const names = declaration.resolve ? [] : [declaration.url.text]
  const ids = zone.shared!.add({ declaration, names })
  if (ids === null) throw new ApiError(400, `upstream "${zone.group.name}" memory exhausted`, 'UpstreamOutOfMemory')
  save(zone, r)
  return viewOf(zone, ids[0]!)
}

export function alterServer(zone: ZoneGroup, id: number, text: string, r: HttpRequest): View {
  const members = readObject(text)
  const at = find(zone, id)
  if (members.has('server')) throw new ApiError(400, 'server address is immutable', 'UpstreamServerImmutable')
  if (members.has('backup') || members.has('service')) throw new ApiError(400, 'parameter is immutable', FORMAT)
  if (zone.shared!.slots.has(at, CHILD)) {
    throw new ApiError(400, `server "${id}" is an address of a name: alter that`, 'UpstreamServerImmutable')
  }
  // Checks them.
  wordsOf(members)
  if (!zone.shared!.update(id, optionsOf(members))) throw noServer(id)
  save(zone, r)
  return viewOf(zone, id)
}

/** Another thread may have removed it in the meantime. */
function viewOf(zone: ZoneGroup, id: number): View {
  const view = serverViewById(id, zone)
  if (view === null) throw noServer(id)
  return view
}

function noServer(id: number): ApiError {
  return new ApiError(404, `server with ID "${id}" does not exist`, 'UpstreamServerNotFound')
}

function optionsOf(members: ReadonlyMap<string, string | number | boolean>): PeerOptions {
  const options: { -readonly [K in keyof PeerOptions]: PeerOptions[K] } = {}
  for (const [name, value] of members) {
    const text = String(value)
    if (name === 'weight') options.weight = parseNumber(text)!
    else if (name === 'max_conns') options.maxConns = parseNumber(text)!
    else if (name === 'max_fails') options.maxFails = parseNumber(text)!
    else if (name === 'fail_timeout') options.failTimeout = parseSeconds(text)!
    else if (name === 'slow_start') options.slowStart = parseTime(text)!
    else if (name === 'route') options.route = text
    else if (name === 'down') options.down = value === true
    else if (name === 'drain') options.drain = value === true
  }
  // Who is up again is not drained, and the other way round.
  if (options.down === true) options.drain = false
  else if (options.down === false && options.drain === undefined) options.drain = false
  if (options.drain === true) options.down = false
  return options
}

export function removeServer(zone: ZoneGroup, id: number, r: HttpRequest): View[] {
  const at = find(zone, id)
  const { slots } = zone.shared!
  if (slots.has(at, CHILD) && !slots.has(at, TEMPLATE)) {
    throw new ApiError(400, `server "${id}" not removable`, 'UpstreamServerImmutable')
  }
  if (!zone.shared!.remove(id)) throw noServer(id)
  save(zone, r)
  return serverViews(zone)
}

function find(zone: ZoneGroup, id: number): number {
  const at = zone.shared!.slots.byId(id)
  if (at === -1) throw noServer(id)
  return at
}

function save(zone: ZoneGroup, r: HttpRequest): void {
  const { statePath } = zone
  if (statePath === null) return
  const shared = zone.shared!
  const problem = shared.slots.saving(() => {
    const declarations = declarationsOf(zone)
    const problem = writeState(statePath, declarations.map(serverLine))
    if (problem === '') shared.saved(declarations.map(entryOf))
    return problem
  })
  if (problem !== '') r.log(ERR, `state of upstream "${zone.group.name}" could not be written: ${problem}`)
}

/** As it will be read again. */
function entryOf(declaration: ServerDeclaration): Entry {
  return { declaration, names: declaration.resolve ? [] : [declaration.url.text] }
}
