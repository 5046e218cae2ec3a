// A DNS server on loopback, over UDP and TCP, that answers what a script says: for tests of names at run time.

import dgram from 'node:dgram'
import net from 'node:net'
import { once } from 'node:events'
import { parseResponse } from '../../src/codec/dns.ts'
import { freePort } from './ports.ts'
import { atEnd, type Scope } from './scope.ts'

export interface DnsQuestion {
  readonly name: string
  readonly type: number
  readonly tcp: boolean
  readonly bytes: Buffer
}

/** The response, or null for silence. */
export type DnsScript = (question: DnsQuestion) => Buffer | null

export interface TestDnsServer {
  readonly port: number
  readonly questions: DnsQuestion[]
}

/** A resource record of the name asked for; `data` is latin1. */
export function record(type: number, ttl: number, data: string): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt16BE(0xc00c, 0)
  bytes.writeUInt16BE(type, 2)
  bytes.writeUInt16BE(1, 4)
  bytes.writeUInt32BE(ttl, 6)
  bytes.writeUInt16BE(data.length, 10)
  return Buffer.concat([bytes, Buffer.from(data, 'latin1')])
}

export function answerTo(query: Buffer, records: readonly Buffer[], flags = 0x8180): Buffer {
  const head = Buffer.from(query)
  head.writeUInt16BE(flags, 2)
  head.writeUInt16BE(records.length, 6)
  return Buffer.concat([head, ...records])
}

/** An IPv4 address as the data of a record. */
export function ipv4(text: string): string {
  return String.fromCharCode(...text.split('.').map(Number))
}

export async function dnsServer(t: Scope, script: DnsScript): Promise<TestDnsServer> {
  const questions: DnsQuestion[] = []
  const answer = (bytes: Buffer, tcp: boolean): Buffer | null => {
    const { name, type } = parseResponse(answerTo(bytes, []))!
    const question = { name, type, tcp, bytes: Buffer.from(bytes) }
    questions.push(question)
    return script(question)
  }
  const tcp = net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at + 2 <= chunk.length; at += 2 + chunk.readUInt16BE(at)) {
        const response = answer(chunk.subarray(at + 2, at + 2 + chunk.readUInt16BE(at)), true)
        if (response === null) continue
        socket.write(Buffer.concat([Buffer.from([response.length >> 8, response.length & 255]), response]))
      }
    })
  })
  const port = await freePort()
  tcp.listen(port, '127.0.0.1')
  await once(tcp, 'listening')
  const udp = dgram.createSocket('udp4')
  udp.on('message', (bytes, from) => {
    const response = answer(bytes, false)
    if (response !== null) udp.send(response, from.port, from.address)
  })
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  atEnd(t, () => {
    udp.close()
    tcp.close()
  })
  return { port, questions }
}
