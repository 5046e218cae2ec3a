// UDP for tests: a server that answers what a script says, and clients that wait for what comes back.

import dgram from 'node:dgram'
import { once } from 'node:events'
import { within } from './eventually.ts'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'

const PATIENCE_MS = 60_000

export interface DatagramPeer {
  readonly port: number
  /** What came, in latin1, and from which port. */
  readonly heard: { readonly text: string; readonly from: number; readonly address: string }[]
  /** Says something to a port it knows. */
  say(text: string, port: number): void
  close(): void
}

/** @param answer what is said to each datagram; by default the same in capitals */
export async function datagramPeer(
  t: Scope,
  answer: (text: string) => readonly string[] = text => [text.toUpperCase()],
  port = 0,
  host = '127.0.0.1',
): Promise<DatagramPeer> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const heard: DatagramPeer['heard'] = []
  socket.on('message', (bytes, from) => {
    const text = bytes.toString('latin1')
    heard.push({ text, from: from.port, address: from.address })
    for (const said of answer(text)) socket.send(Buffer.from(said, 'latin1'), from.port, from.address)
  })
  socket.bind(port, host)
  await once(socket, 'listening')
  let open = true
  const close = (): void => {
    if (open) socket.close()
    open = false
  }
  atEnd(t, close)
  const say = (text: string, to: number): void => {
    socket.send(Buffer.from(text, 'latin1'), to, host)
  }
  return { port: socket.address().port, heard, say, close }
}

export class DatagramClient {
  /** What has come and nobody has asked for yet. */
  readonly waiting: string[] = []
  private readonly socket: dgram.Socket
  private wake: (() => void) | null = null

  constructor(socket: dgram.Socket) {
    this.socket = socket
    socket.on('message', bytes => {
      this.waiting.push(bytes.toString('latin1'))
      this.wake?.()
    })
    socket.on('error', () => {})
  }

  get port(): number {
    return this.socket.address().port
  }

  send(text: string): void {
    this.socket.send(Buffer.from(text, 'latin1'))
  }

  /** The next that comes. */
  async next(): Promise<string> {
    while (this.waiting.length === 0) {
      const woken = new Promise<void>(resolve => (this.wake = resolve))
      await within(woken, PATIENCE_MS, () => 'no datagram came')
    }
    return this.waiting.shift()!
  }

  ask(text: string): Promise<string> {
    this.send(text)
    return this.next()
  }
}

/** One that hears only what comes from where it sends to. */
export async function datagramClient(t: Scope, port: number, host = '127.0.0.1', from = ''): Promise<DatagramClient> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  if (from !== '') socket.bind(0, from)
  socket.connect(port, host)
  await once(socket, 'connect')
  atEnd(t, () => void socket.close())
  return new DatagramClient(socket)
}
