// `pass ADDRESS` of a stream server: the connection goes on as a session of another address of this configuration, as if it had
// been accepted there (ngx_stream_pass_module). What has been read of it, and not used, is read there anew.

import { STREAM_SERVER, type Directive, type Site } from '../config/directive.ts'
import { Template } from '../config/template.ts'
import { canonicalAddress } from '../lib/networks.ts'
import { ERR } from '../log/error-log.ts'
import type { Value } from '../http/module.ts'
import type { Address, ServerBlock } from '../http/server/server-block.ts'
import { PassedConnection, type PassedTo } from '../http/session/passed-connection.ts'
import { parseUpstreamUrl } from '../upstream/address.ts'
import { asRequest, type Content } from './module.ts'
import type { StreamSession } from './session.ts'
import type { UdpSession } from './udp/session.ts'

/** Beyond it is a circle. */
const PASSES_MAX = 10

interface Target {
  /** As logs name it. */
  readonly text: string
  /** Canonical; '' for a Unix socket. */
  readonly host: string
  readonly port: number
  /** Absolute, of a Unix socket. */
  readonly path: string
}

export interface PassDeclaration {
  readonly template: Template
  /** null: it has variables. */
  readonly target: Target | null
  readonly prefixPath: (path: string) => string
}

export const pass: Directive<PassDeclaration | null> = {
  in: STREAM_SERVER,
  args: [1, 1],
  default: null,
  inheritedBy: 0,
  parse([text], at) {
    const template = Template.parse(text!, at)
    const prefixPath = (path: string): string => at.prefixPath(path)
    return { template, target: template.constant === null ? null : fixedTarget(template.constant, at), prefixPath }
  },
}

function fixedTarget(text: string, at: Site): Target {
  const { target, problem } = readTarget(text, path => at.prefixPath(path))
  if (target !== null) return target
  if (problem === NO_ADDRESSES || problem === NO_PORT) return at.fail(`"pass" directive has ${problem}`)
  return at.fail(`${problem} in "${text}" of the "pass" directive`)
}

const NO_ADDRESSES = 'no addresses'
const NO_PORT = 'no port'

type Read = { readonly target: Target; readonly problem: '' } | { readonly target: null; readonly problem: string }

/** No port is the usual one, and no name is looked up. */
function readTarget(text: string, prefixPath: (path: string) => string): Read {
  const url = parseUpstreamUrl(text, 1, false)
  if (typeof url === 'string') return { target: null, problem: url }
  if (url.address === null) return { target: null, problem: NO_ADDRESSES }
  if (url.unix) {
    return { target: { text, host: '', port: 0, path: prefixPath(url.host) }, problem: '' }
  }
  if (url.portText === '') return { target: null, problem: NO_PORT }
  const host = canonicalAddress(url.host.replace(/^\[|\]$/g, ''))
  return { target: { text: url.text, host, port: url.port, path: '' }, problem: '' }
}

type Block = ServerBlock<any>

interface Found {
  readonly block: Block
  readonly address: Address<any>
}

/** @param blocks whose addresses may be passed to; all of them are there when sessions are */
export function passContent(declared: PassDeclaration, address: Value, blocks: readonly Block[]): Content {
  return new Pass(declared, address, blocks)
}

class Pass implements Content {
  private readonly declared: PassDeclaration
  private readonly address: Value
  private readonly blocks: readonly Block[]

  constructor(declared: PassDeclaration, address: Value, blocks: readonly Block[]) {
    this.declared = declared
    this.address = address
    this.blocks = blocks
  }

  beginUdp(session: UdpSession): void {
    session.log(ERR, 'cannot pass udp connection while passing connection to port')
    session.finalize(500)
  }

  begin(session: StreamSession): void {
    session.action = 'passing connection to port'
    // What TLS has given is gone from the socket: nginx has nowhere to put it.
    if (session.hasPrereadTls) return this.fail(session, 'cannot pass connection with preread data')
    const target = this.declared.target ?? this.read(session)
    if (target === null) return
    if (session.passed !== null && session.passed.passes >= PASSES_MAX) return this.fail(session, 'stream pass cycle')
    const found = this.find(target)
    if (found !== null) {
      session.passOn(new PassedConnection(session, clientsView(target)), found.block, found.address)
      return
    }
    session.log(ERR, `port not found for "${target.text}"`)
    session.finalize(200)
  }

  private fail(session: StreamSession, problem: string): void {
    session.log(ERR, problem)
    session.finalize(500)
  }

  private read(session: StreamSession): Target | null {
    const text = this.address.get(asRequest(session))
    const { target, problem } = readTarget(text, this.declared.prefixPath)
    if (target === null) this.fail(session, `${problem} in pass "${text}"`)
    return target
  }

  private find(target: Target): Found | null {
    for (const block of this.blocks) {
      const address = block.listens.find(listen => takes(listen, target))
      if (address !== undefined) return { block, address }
    }
    return null
  }
}

function takes(listen: Address<any>, { host, port, path }: Target): boolean {
  if (listen.udp) return false
  if (path !== '') return listen.path === path
  if (listen.path !== '' || listen.port !== port) return false
  if (listen.host === '0.0.0.0') return !host.includes(':')
  return listen.host === '::' ? host.includes(':') : canonicalAddress(listen.host) === host
}

/** What the client has connected to, to those it is passed to; null: a wildcard, so it is what it was. */
function clientsView({ host, port, path }: Target): PassedTo | null {
  if (path !== '') return { address: `unix:${path}`, port: 0 }
  return host === '0.0.0.0' || host === '::' ? null : { address: host, port }
}
