// What `listen` asks of its socket beyond the address: options of the kernel's, which connections inherit from the socket they
// are accepted from (socket(7), tcp(7)).

import type { Site } from '../../config/directive.ts'
import { parseNumber, parseSeconds, parseSize } from '../../config/units.ts'

/** For setsockopt(). */
export interface SocketOption {
  readonly level: number
  readonly name: number
  readonly value: number
  /** As nginx names it in its log. */
  readonly text: string
}

const SOL_SOCKET = 1
const IPPROTO_TCP = 6

function option(level: number, name: number, text: string, value: number): SocketOption {
  return { level, name, text, value }
}

const sndbuf = (value: number): SocketOption => option(SOL_SOCKET, 7, 'SO_SNDBUF', value)
const rcvbuf = (value: number): SocketOption => option(SOL_SOCKET, 8, 'SO_RCVBUF', value)
const keepalive = (value: number): SocketOption => option(SOL_SOCKET, 9, 'SO_KEEPALIVE', value)
const keepIdle = (value: number): SocketOption => option(IPPROTO_TCP, 4, 'TCP_KEEPIDLE', value)
const keepInterval = (value: number): SocketOption => option(IPPROTO_TCP, 5, 'TCP_KEEPINTVL', value)
const keepCount = (value: number): SocketOption => option(IPPROTO_TCP, 6, 'TCP_KEEPCNT', value)
const deferAccept = (value: number): SocketOption => option(IPPROTO_TCP, 9, 'TCP_DEFER_ACCEPT', value)
const fastOpen = (value: number): SocketOption => option(IPPROTO_TCP, 23, 'TCP_FASTOPEN', value)

/** What a parameter asks for; null when it is no such parameter. */
export function socketOptions(word: string, at: Site): readonly SocketOption[] | null {
  if (word === 'deferred') return [deferAccept(1)]
  const equals = word.indexOf('=')
  const name = word.slice(0, equals)
  const value = word.slice(equals + 1)
  if (name === 'rcvbuf') return [rcvbuf(parseSize(value) ?? at.fail(`invalid rcvbuf "${word}"`))]
  if (name === 'sndbuf') return [sndbuf(parseSize(value) ?? at.fail(`invalid sndbuf "${word}"`))]
  if (name === 'fastopen') return [fastOpen(parseNumber(value) ?? at.fail(`invalid fastopen "${word}"`))]
  return name === 'so_keepalive' ? keepaliveOptions(value, at) : null
}

/** `on`, `off`, or `idle:interval:count` of which any may be missing. */
function keepaliveOptions(value: string, at: Site): readonly SocketOption[] {
  if (value === 'on') return [keepalive(1)]
  if (value === 'off') return [keepalive(0)]
  const refuse = (): never => at.fail(`invalid so_keepalive value: "${value}"`)
  const [idle = '', interval = '', ...rest] = value.split(':')
  const count = rest.join(':')
  const seconds = (text: string): number => (text === '' ? 0 : (parseSeconds(text) ?? refuse()))
  const [idleS, intervalS, times] = [
    seconds(idle),
    seconds(interval),
    count === '' ? 0 : (parseNumber(count) ?? refuse()),
  ]
  if (idleS === 0 && intervalS === 0 && times === 0) refuse()
  return [
    keepalive(1),
    ...(idleS === 0 ? [] : [keepIdle(idleS)]),
    ...(intervalS === 0 ? [] : [keepInterval(intervalS)]),
    ...(times === 0 ? [] : [keepCount(times)]),
  ]
}
