// The worker's connections are the front's, but applications ask their socket who the client is: req.ip of Express, ctx.ip of Koa,
// limits and logs. So the socket answers with what the front has said in the request's last field.

import type { IncomingMessage, Server } from 'node:http'
import { Socket } from 'node:net'
import { CLIENT_FIELD } from '../node-start.ts'
import { http } from './builtin-http.ts'

/** Events whose first argument is a request. */
const ASKING = new Set<unknown>(['request', 'upgrade', 'checkContinue', 'checkExpectation', 'connect'])

/** How many of `rawHeaders` a request believes it has: node:http makes its other views of them from those when they are asked for. */
const COUNT = Object.getOwnPropertySymbols(new http.IncomingMessage(new Socket())).find(
  ({ description }) => description === 'kHeadersCount',
)

/** Before the application's own listeners, whichever those are at the time: libraries take others' away and call them later. */
export function tellClients(server: Server): void {
  const emit = server.emit.bind(server) as (...args: unknown[]) => boolean
  server.emit = (...args: unknown[]): boolean => {
    if (ASKING.has(args[0])) heed(args[1] as IncomingMessage)
    return emit(...args)
  }
}

function heed(message: IncomingMessage): void {
  const { headers, socket } = message
  const told = headers[CLIENT_FIELD]
  if (typeof told !== 'string') return beOwn(socket)
  delete headers[CLIENT_FIELD]
  dropLast(message)
  const [address = '-', port = '-', scheme] = told.split(' ')
  setClient(socket, address === '-' ? undefined : address, port === '-' ? undefined : Number(port))
  setEncrypted(socket, scheme === 'https')
}

/** As TLS sockets have it. Where there is no TLS there is no such property: it is enough for some that there is one (AdonisJS). */
function setEncrypted(socket: Socket & { encrypted?: boolean }, is: boolean): void {
  if (is) socket.encrypted = true
  else if (socket.encrypted !== undefined) delete socket.encrypted
}

/** Libraries that make fields of their own from `rawHeaders` need not see ours either. */
function dropLast(message: IncomingMessage): void {
  const { rawHeaders } = message
  const counted = message as unknown as Record<symbol, number>
  if (COUNT === undefined || rawHeaders.at(-2) !== CLIENT_FIELD || counted[COUNT] !== rawHeaders.length) return
  rawHeaders.length -= 2
  counted[COUNT] = rawHeaders.length
}

/** The program asks itself (own-address.ts): nobody else comes without the field. */
function beOwn(socket: Socket): void {
  if (socket.remoteAddress === undefined) setClient(socket, '127.0.0.1', undefined)
}

/** A connection serves one request after the other, of many clients. */
function setClient(socket: Socket, address: string | undefined, port: number | undefined): void {
  set(socket, 'remoteAddress', address)
  set(socket, 'remotePort', port)
  set(socket, 'remoteFamily', address === undefined ? undefined : address.includes(':') ? 'IPv6' : 'IPv4')
}

/** The prototype has getters of these names, which cannot be assigned to. */
function set(socket: Socket, name: 'remoteAddress' | 'remotePort' | 'remoteFamily', value: unknown): void {
  if (Object.hasOwn(socket, name)) (socket as unknown as Record<string, unknown>)[name] = value
  else Object.defineProperty(socket, name, { value, writable: true, configurable: true, enumerable: false })
}
