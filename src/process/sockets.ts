// Listening sockets, held by the master as raw descriptors: bound with the privileges it has, listening before anybody
// accepts, and still there when the front is replaced. The kernel queues connections meanwhile, so nobody is turned away.
//
// net.BoundSocket binds (with Node's error codes); the descriptor is then copied, since a BoundSocket's own is closed when
// it is handed on, and for a Unix socket its file is removed as well.

import net from 'node:net'
import { dirname } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import { chmodSync, closeSync, existsSync, linkSync, renameSync, rmSync } from 'node:fs'
import { bindUdp, shareAddress } from '../net/udp-socket.ts'
import { dup, listenQueue, setSocketOption } from './libc.ts'
import { reason } from './system-error.ts'
import type { Inheritance } from './inheritance.ts'
import type { ListenAddress } from './plan.ts'

interface Open {
  readonly fd: number
  readonly address: ListenAddress
  /** It was open before this process was there. */
  readonly inherited: boolean
}

/** An address that cannot be had. `inUse`: it may be free in a moment. */
export class BindError extends Error {
  readonly inUse: boolean

  constructor(message: string, inUse: boolean) {
    super(message)
    this.inUse = inUse
  }
}

const ATTEMPTS = 5
const ATTEMPT_MS = 500

export class ListeningSockets {
  /** A successor uses them all: the files of Unix sockets stay when they are closed here. */
  shared = false
  private readonly open = new Map<string, Open>()
  /** Those of the master before this one that have not been asked for. */
  private readonly legacy: Map<string, number>
  private readonly predecessor: number
  /** Those inherited are somebody else's: their files stay. */
  private readonly kept: boolean

  constructor(inheritance: Inheritance | null = null) {
    this.legacy = new Map(inheritance?.sockets)
    this.predecessor = inheritance?.master ?? 0
    this.kept = inheritance?.kept ?? false
  }

  /** Does the master that left its sockets to this one still run? */
  get predecessorLives(): boolean {
    return this.predecessor !== 0 && process.ppid === this.predecessor
  }

  /** All descriptors by their keys. */
  descriptors(): Map<string, number> {
    return new Map([...this.open].map(([key, { fd }]) => [key, fd]))
  }

  /** What was left and nobody wants is given up. */
  closeLegacy(): void {
    for (const fd of this.legacy.values()) closeSync(fd)
    this.legacy.clear()
  }

  fd(key: string): number {
    return this.open.get(key)?.fd ?? -1
  }

  keys(): string[] {
    return [...this.open.keys()]
  }

  /**
   * Opens the addresses that are not open yet. An address in use is tried again for two seconds, as nginx does: often its
   * former owner is just leaving. If one cannot be had, those opened here are closed again.
   * @param tell hears of every failure, in nginx's words
   * @returns the keys opened, null if it did not work
   */
  async bind(addresses: readonly ListenAddress[], tell: (problem: string) => void): Promise<string[] | null> {
    let missing = addresses.filter(address => !this.open.has(address.key))
    const opened: string[] = []
    for (const address of addresses) {
      const fd = this.fd(address.key)
      if (fd >= 0) configure(fd, address, tell)
    }
    for (let attempt = 1; ; attempt++) {
      const failed: ListenAddress[] = []
      let final = false
      for (const address of missing) {
        try {
          this.open.set(address.key, this.openOne(address))
          configure(this.fd(address.key), address, tell)
          opened.push(address.key)
        } catch (error) {
          tell((error as Error).message)
          failed.push(address)
          final ||= !(error instanceof BindError && error.inUse)
        }
      }
      if (failed.length === 0) return opened
      if (final || attempt === ATTEMPTS) break
      missing = failed
      await new Promise(resolve => setTimeout(resolve, ATTEMPT_MS))
    }
    for (const key of opened) this.close(key)
    return null
  }

  private openOne(address: ListenAddress): Open {
    const fd = this.legacy.get(address.key)
    if (fd === undefined) return { fd: bindOne(address), address, inherited: false }
    this.legacy.delete(address.key)
    if (address.udp !== true) listenQueue(fd, address.backlog)
    return { fd, address, inherited: true }
  }

  /** Closes the descriptor and removes a Unix socket's file, unless another master uses it. */
  close(key: string): void {
    const open = this.open.get(key)
    if (open === undefined) return
    this.open.delete(key)
    closeSync(open.fd)
    if (this.shared || (open.inherited && (this.kept || this.predecessorLives))) return
    if (open.address.path !== '' && !isAbstract(open.address.path)) {
      rmSync(fileName(open.address.path), { force: true })
    }
  }

  closeAll(): void {
    for (const key of this.keys()) this.close(key)
  }
}

/** Throws if it cannot be had; one in use is likely to be that of the running server. Nothing of it stays. */
export function tryAddress(address: ListenAddress): void {
  try {
    if (address.udp === true) closeSync(bindDatagrams(address))
    else bind(address).close()
  } catch (error) {
    if (!(error instanceof BindError) || !error.inUse) throw error
  }
}

function bindOne(address: ListenAddress): number {
  if (address.udp === true) return bindDatagrams(address)
  const bound = bind(address)
  const fd = dup(bound.fd())
  if (address.path === '' || isAbstract(address.path)) bound.close()
  else closeKeepingFile(bound, fileName(address.path))
  if (listenQueue(fd, address.backlog)) return fd
  closeSync(fd)
  throw new BindError(`listen() to ${written(address)}, backlog ${address.backlog} failed (${IN_USE})`, true)
}

/**
 * A Unix socket that does not listen yet. Its file is there with this mode from its first moment on, or not at all: where another
 * has the name, the error's code is EEXIST.
 * @returns the descriptor
 */
export function bindUnix(path: string, mode: number): number {
  // Closing removes the file by the name it was bound with.
  const aside = `${dirname(path)}/.${process.pid}`
  const bound = bind({ key: path, host: '', port: 0, path: aside, backlog: 0, ipv6only: false })
  try {
    chmodSync(fileName(aside), mode)
    linkSync(fileName(aside), fileName(path))
    return dup(bound.fd())
  } finally {
    bound.close()
  }
}

function bindDatagrams(address: ListenAddress): number {
  const { host, port, ipv6only, reuseport = false } = address
  const fd = bindUdp(host, port, ipv6only, reuseport)
  if (fd >= 0) return fd
  const error = { errno: fd, code: getSystemErrorMap().get(fd)?.[0] ?? '' } as NodeJS.ErrnoException
  throw new BindError(`bind() to ${written(address)} failed (${reason(error)})`, error.code === 'EADDRINUSE')
}

/** What connections are to inherit. Without it they work all the same. */
function configure(fd: number, address: ListenAddress, tell: (problem: string) => void): void {
  if (address.reuseport === true && address.path === '') shareAddress(fd)
  for (const { level, name, value, text } of address.options ?? []) {
    if (!setSocketOption(fd, level, name, value))
      tell(`setsockopt(${text}, ${value}) ${written(address)} failed, ignored`)
  }
}

const IN_USE = '98: Address already in use'

function bind(address: ListenAddress): net.BoundSocket {
  const { host, port, path, ipv6only, reuseport = false } = address
  try {
    // Node takes names as UTF-8; ours are bytes.
    const options =
      path === ''
        ? { host, port, ipv6Only: ipv6only && host.includes(':'), reusePort: reuseport }
        : { path: utf8(path) }
    return new net.BoundSocket(options)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // libuv says EACCES where the folder of a Unix socket is not there.
    const isFolderMissing =
      code === 'EACCES' && path !== '' && !isAbstract(path) && !existsSync(dirname(fileName(path).toString()))
    const why = isFolderMissing ? '2: No such file or directory' : reason(error)
    throw new BindError(`bind() to ${written(address)} failed (${why})`, code === 'EADDRINUSE')
  }
}

function utf8(path: string): string {
  return fileName(path).toString('utf8')
}

/** Closing removes the file by its name, so for that moment it has another. Nobody can connect yet. */
function closeKeepingFile(bound: net.BoundSocket, file: Buffer): void {
  const aside = Buffer.concat([file, Buffer.from('~')])
  renameSync(file, aside)
  bound.close()
  if (existsSync(file)) throw new BindError(`"${file.toString('latin1')}" was taken by somebody else`, false)
  renameSync(aside, file)
  chmodSync(file, 0o666)
}

function isAbstract(path: string): boolean {
  return path.startsWith('\0')
}

function fileName(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

/** As nginx writes addresses. */
function written({ host, port, path }: ListenAddress): string {
  if (path !== '') return `unix:${path}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
