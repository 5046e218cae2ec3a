// Requests for a dispatcher without a front, and the frames its workers answer with.

import type { AppSettings } from '../../src/app/app.ts'
import { Call, type Carrier } from '../../src/app/dispatch/call.ts'
import { encodeFrame, encodeRequest, HEAD } from '../../src/codec/frames.ts'

/** The frame of a bare 200. */
export const head = (stream: number, flags: number): Buffer =>
  encodeFrame(HEAD, stream, flags, Buffer.from('\x06\0\0\x00200 OK', 'latin1'))

export class Request extends Call {
  /** What became of it. */
  outcome = ''
  send(link: Carrier): void {
    link.write(encodeRequest(link.stream, ['REQUEST_METHOD', 'GET'], null))
  }
  onHead(): void {
    this.outcome = 'answered'
  }
  onData(): void {}
  onFile(): void {}
  onLog(): void {}
  onWritable(): void {}
  onFailure(reason: number): void {
    this.outcome = `failed ${reason}`
  }
}

/** What a dispatcher reads of an application's. */
export const SETTINGS = {
  name: 'test',
  kind: 'sync',
  workers: 1,
  workersMax: 1,
  workerConnections: 10,
  timeout: 60_000,
  queue: 10,
  queueTimeout: 60_000,
  maxRequests: 0,
  prefetch: 0,
} as AppSettings
