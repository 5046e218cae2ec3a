// What the blocks that have servers (http, stream) have in common beyond their definitions: the addresses they listen on,
// shared by servers, and how a thread begins and ends to accept on them.

import { MAIN, type Scope } from '../../config/directive.ts'
import { canonicalAddress } from '../../lib/networks.ts'
import { ErrorLog, type LogTarget } from '../../log/error-log.ts'
import { listen, type Listener } from '../../net/listener.ts'
import type { AddressServers } from './address-servers.ts'
import { coreDirectives } from '../core/core.ts'
import { Definitions } from './definitions.ts'
import { addressText, type ListenDeclaration } from '../core/listen.ts'
import type { SocketOption } from '../core/listen-options.ts'
import { defineCaptures, regex } from '../regex.ts'
import type { ListenRuntime } from '../runtime.ts'
import type { PassedConnection } from '../session/passed-connection.ts'
import type { Sessions } from '../session/sessions.ts'
import type { ThreadServices } from '../setup.ts'
import type { ConnectionLimit } from '../../upstream/connection-limit.ts'

/** One socket to be bound by the master. */
export interface ListenAddress {
  readonly key: string
  readonly host: string
  readonly port: number
  readonly path: string
  readonly backlog: number
  readonly ipv6only: boolean
  readonly options: readonly SocketOption[]
  /** Of datagrams: whoever starts the block reads them. */
  readonly udp: boolean
  readonly reuseport: boolean
  /** `FILE:LINE` of the directive. */
  readonly place: string
}

export interface Address<A> extends ListenAddress {
  /** Somebody has said how its socket is to be. */
  readonly set: boolean
  readonly runtime: A
  /** Of a wildcard: what listens on its port on single addresses, which cannot be bound beside it. */
  readonly within: Map<string, A>
}

export abstract class ServerBlock<A extends AddressServers<any>> extends Definitions {
  listens: Address<A>[] = []
  private listeners: Listener[] = []
  protected sessions: Sessions | null = null
  /** What logs, and where. */
  private readonly logging: { owner: { errorLog: ErrorLog }; targets: readonly LogTarget[] | null }[] = []

  /** Named captures of `server_name ~…` are variables. */
  protected defineNameCaptures(scope: Scope, names: readonly string[]): void {
    const site = scope.site('server_name')
    for (const name of names) {
      if (site !== null && /^~./s.test(name)) defineCaptures(regex(name.slice(1), true, site), site, this)
    }
  }

  /** A server's addresses, those of others among them. `make` begins one that nobody has named yet. */
  protected addressesOf(
    declarations: readonly ListenDeclaration[],
    make: (key: string) => A,
    add: (address: A, declared: ListenDeclaration) => void,
  ): void {
    const seen = new Set<string>()
    for (const declared of declarations) {
      if (seen.has(declared.key)) declared.site.fail(`a duplicate listen ${addressText(declared.key)}`)
      seen.add(declared.key)
      add(this.addressFor(declared, make), declared)
    }
  }

  private addressFor(declared: ListenDeclaration, make: (key: string) => A): A {
    const { key, host, port, path, backlog, ipv6only, options, udp = false, reuseport = false, set, site } = declared
    const i = this.listens.findIndex(address => address.key === key)
    const known = this.listens[i]
    const socket = { backlog, ipv6only, options, reuseport, set }
    if (known !== undefined) {
      if (set && known.set) site.fail(`duplicate listen options for ${addressText(key)}`)
      if (set) this.listens[i] = { ...known, ...socket }
      return known.runtime
    }
    const runtime = make(addressText(key))
    const place = `${site.file}:${site.line}`
    const within = new Map<string, A>()
    this.listens.push({ key, host, port, path, udp, ...socket, place, runtime, within })
    return runtime
  }

  /** When all servers are known: leaves out what a wildcard of the same family and port takes in (ngx_http_init_listening). */
  protected settleAddresses(): void {
    const addresses = this.listens
    this.listens = addresses.filter(address => {
      if (address.path !== '' || address.host === '0.0.0.0' || address.host === '::') return true
      const any = address.host.includes(':') ? '::' : '0.0.0.0'
      const wildcard = addresses.find(
        ({ host, port, udp }) => host === any && port === address.port && udp === address.udp,
      )
      wildcard?.within.set(canonicalAddress(address.host), address.runtime)
      return wildcard === undefined
    })
  }

  /** @param owner is given the error log of its scope when the thread starts (openLogs) */
  protected logsFor(owner: { errorLog: ErrorLog }, scope: Scope): void {
    const targets = ownErrorLog(scope)
    for (const { path } of targets ?? []) if (path !== null) this.needsLogFile(path)
    this.logging.push({ owner, targets })
  }

  private openLogs({ errorLog, logFiles }: ThreadServices): void {
    const opened = new Map<readonly LogTarget[], ErrorLog>()
    for (const { owner, targets } of this.logging) {
      if (targets === null) owner.errorLog = errorLog
      else {
        owner.errorLog = opened.get(targets) ?? new ErrorLog(targets, logFiles, errorLog.thread)
        opened.set(targets, owner.errorLog)
      }
    }
  }

  // ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Client connections open now. */
  get connections(): number {
    return this.sessions?.size ?? 0
  }

  /** Whose connections are from the moment they are accepted. */
  protected abstract sessionsFor(limit: ConnectionLimit, log: ErrorLog): Sessions

  /**
   * Puts the configuration into use in this thread; resolves when every address accepts.
   * @param descriptors a descriptor of our own for each address's key; those that are used are taken out
   */
  async start(services: ThreadServices, descriptors: Map<string, number>, limit: ConnectionLimit): Promise<void> {
    this.openLogs(services)
    for (const run of this.starts) run(services)
    const sessions = this.sessionsFor(limit, services.errorLog)
    this.sessions = sessions
    const tcp = this.listens.filter(address => !address.udp)
    await Promise.all(
      tcp.map(address => {
        const fd = descriptors.get(address.key)!
        descriptors.delete(address.key)
        return this.acceptOn(address, fd, sessions)
      }),
    )
  }

  private acceptOn(address: Address<A>, fd: number, sessions: Sessions): Promise<void> {
    const add = (handle: unknown): void => sessions.add(handle, runtimeFor(address, handle))
    return new Promise((resolve, reject) => {
      const done = (error: Error | null): void => (error === null ? resolve() : reject(error))
      this.listeners.push(listen({ fd }, address.backlog, add, done))
    })
  }

  /** Hands a connection that another block has accepted to the address it is passed to. */
  receive(passed: PassedConnection, address: Address<A>): void {
    this.sessions!.receive(passed, runtimeOf(address, passed.localAddress))
  }

  /** Accepts no more and calls `done` when the last session has ended. `grace`: see Sessions.drain. */
  retire(grace: boolean, done: () => void): void {
    this.stopAccepting()
    for (const run of this.retires.splice(0)) run()
    if (this.sessions === null) done()
    else this.sessions.drain(grace, done)
  }

  /** After retire(): is there more to come than what has no end of its own? */
  get expectsRequests(): boolean {
    return this.sessions?.expectsRequests === true
  }

  /** No connection outlives the answers that are under way. */
  keepNone(): void {
    this.sessions?.keepNone()
  }

  /** Cuts what is left and lets go of everything. */
  stop(): void {
    this.stopAccepting()
    this.sessions?.closeAll()
    for (const run of this.stops) run()
  }

  private stopAccepting(): void {
    for (const listener of this.listeners) listener.close()
    this.listeners = []
  }
}

/** The handle is libuv's, as listener.ts hands it over. What its servers are, the session knows that is made for it. */
function runtimeFor<A>(address: Address<A>, handle: unknown): ListenRuntime {
  if (address.within.size === 0) return address.runtime as unknown as ListenRuntime
  const local: { address?: string } = {}
  ;(handle as { getsockname(into: object): number }).getsockname(local)
  return runtimeOf(address, local.address ?? '')
}

/** @param local what the client has connected to, in its canonical form */
function runtimeOf<A>(address: Address<A>, local: string): ListenRuntime {
  return (address.within.get(local) ?? address.runtime) as unknown as ListenRuntime
}

/** The `error_log` lines in force where they are not the main ones; null where they are. */
function ownErrorLog(scope: Scope): readonly LogTarget[] | null {
  for (let at: Scope | null = scope; at !== null && at.context !== MAIN; at = at.parent) {
    if (at.has('error_log')) return at.conf(coreDirectives).error_log
  }
  return null
}
