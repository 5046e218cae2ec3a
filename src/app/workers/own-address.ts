// Where the application's server is, as far as the program can tell: at the address it asked for. server.address() says so, and
// connections that the program makes to that port of this machine lead to the pool's socket: programs that render pages fetch
// from themselves, and behind any other proxy somebody listens there.

import { rmSync } from 'node:fs'
import net from 'node:net'

export interface Asked {
  /** '' when none was asked for: a path, a handle, or any port that is free. */
  readonly port: string
  /** '' for all addresses. */
  readonly host: string
}

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|::1|)$/
/** Whoever connects to these is connected to this machine. */
const EVERYWHERE = /^(?:0\.0\.0\.0|::)$/

type Connect = (this: net.Socket, ...args: any[]) => net.Socket

/** What the arguments of listen() or connect() ask for. */
export function askedOf([first, second]: readonly any[]): Asked {
  const isObject = typeof first === 'object' && first !== null
  const port = isObject ? (first.path ? '' : first.port) : first
  const host = isObject ? first.host : second
  return { port: isPort(port) ? String(Number(port)) : '', host: typeof host === 'string' ? host : '' }
}

function isPort(given: unknown): boolean {
  const isText = typeof given === 'string' && /^\d+$/.test(given)
  return (isText || typeof given === 'number') && Number(given) > 0
}

export function callbackOf(args: readonly any[]): (() => void) | undefined {
  return args.findLast(arg => typeof arg === 'function')
}

/** As net tells the address of a server that listens there. */
export function addressOf({ port, host }: Asked): net.AddressInfo {
  const address = net.isIP(host) !== 0 ? host : host === '' ? '::' : '127.0.0.1'
  return { address, family: net.isIPv6(address) ? 'IPv6' : 'IPv4', port: Number(port) }
}

/** Behind those that the kernel gives to whoever asks for any, so that nothing else is there. */
const FREE_PORT = 62_000
const FREE_PORTS = 3_536

/** Where a server is that asked for this. One that asked for any port is told one, of each process another. */
export function placeOf(asked: Asked): Asked {
  return asked.port === '' ? { ...asked, port: String(FREE_PORT + (process.pid % FREE_PORTS)) } : asked
}

/** Programs that listen on "localhost" do so on each of its addresses: it is the same application. */
export function isTwin(one: Asked, other: Asked): boolean {
  const isLocal = ({ host }: Asked): boolean => host !== '' && LOOPBACK.test(host)
  return one.port !== '' && one.port === other.port && isLocal(one) && isLocal(other)
}

/** Where its own connections lead. */
let path = ''
/** Where it is, as it believes. */
let home: Asked = { port: '', host: '' }

/** From now on what the program connects to at that address is itself. */
export function connectHome(asked: Asked, socket: string): void {
  const isFirst = path === ''
  path = socket
  home = asked
  if (isFirst) takeConnect()
}

function takeConnect(): void {
  const prototype = net.Socket.prototype as unknown as { connect: Connect }
  const { connect } = prototype
  prototype.connect = function (...args) {
    // net.connect() has put its arguments into an array.
    const given: readonly any[] = Array.isArray(args[0]) ? args[0] : args
    const { port, host } = askedOf(given)
    const leadsHome = port === home.port && (LOOPBACK.test(host) || EVERYWHERE.test(host) || host === home.host)
    if (!leadsHome) return connect.apply(this, args)
    const options = typeof given[0] === 'object' ? given[0] : {}
    return connect.call(this, { ...options, port: undefined, host: undefined, path }, callbackOf(given))
  }
}

/** For when the server takes no more connections: what it finishes may need to ask the program, as behind other proxies it could. */
export function keepOwnDoor(server: net.Server): void {
  if (path === '') return
  const door = `${path}.own`
  net
    .createServer(socket => server.emit('connection', socket))
    .on('error', () => {})
    .on('listening', () => (path = door))
    .listen({ path: door, exclusive: true })
    .unref()
  process.once('exit', () => rmSync(door, { force: true }))
}
