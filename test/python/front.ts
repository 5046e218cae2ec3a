// A front and a master in little: starts the bridge, gives it commands, and asks its workers as a front thread would.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import net from 'node:net'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { FrameReader } from '../../src/codec/frame-reader.ts'
import { encodeRequest } from '../../src/codec/frames.ts'
import type { FrameSink, Hello } from '../../src/codec/frame-reader.ts'
import { within } from '../helpers/eventually.ts'
import { atEnd } from '../helpers/scope.ts'
import type { Scope } from '../helpers/scope.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const PYTHON = join(import.meta.dirname, '../../python')
const APPS = join(import.meta.dirname, 'apps')

export interface Event {
  readonly event: string
  readonly slot: number
  readonly pid: number
  readonly path: string
  readonly paths: string[]
  readonly error: string
  readonly traceback: string
  readonly status: number
  readonly signal: number
  readonly message: string
  readonly preloaded: boolean
}

/** Values that come one by one, for those who wait for them. */
class Queue<T> {
  private readonly values: T[] = []
  private readonly waiting: ((value: T) => void)[] = []

  put(value: T): void {
    const first = this.waiting.shift()
    if (first !== undefined) first(value)
    else this.values.push(value)
  }

  take(what: string, timeoutMs = 60_000): Promise<T> {
    const value = this.values.shift()
    if (value !== undefined) return Promise.resolve(value)
    const come = new Promise<T>(resolve => this.waiting.push(resolve))
    return within(come, timeoutMs, () => `${what} did not come`)
  }
}

export interface Settings {
  readonly module: string
  readonly python?: string
  readonly [name: string]: unknown
}

/** The bridge's process, seen from the master. */
export class Zygote {
  readonly process: ChildProcess
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>
  readonly dir: string
  stdout = ''
  stderr = ''
  private readonly events = new Queue<Event>()
  private readonly control: Socket
  private readonly life: Socket
  private partial = ''

  constructor(t: Scope, settings: Settings) {
    this.dir = tempDir(t)
    const { python = process.env['PORTICO_PYTHON'] || 'python3', ...rest } = settings
    const env = { ...process.env, PYTHONPATH: PYTHON, PYTHONDONTWRITEBYTECODE: '1' }
    this.process = spawn(python, ['-m', 'portico_bridge'], { env, stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] })
    this.exited = new Promise(resolve => this.process.once('close', (status, signal) => resolve([status, signal])))
    this.process.stdout!.on('data', (chunk: Buffer) => (this.stdout += chunk.toString('latin1')))
    this.process.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('latin1')))
    this.control = this.process.stdio[3] as Socket
    this.life = this.process.stdio[4] as Socket
    this.control.on('error', () => {})
    this.life.on('error', () => {})
    this.control.on('data', chunk => this.hear(chunk.toString('utf8')))
    this.send({
      app: 'app',
      generation: 1,
      directory: APPS,
      python_path: [],
      kind: 'sync',
      preload: true,
      socket_dir: this.dir,
      user: null,
      group: null,
      umask: null,
      env: {},
      threads: 1,
      front_threads: 1,
      graceful_timeout: 10,
      ...rest,
    })
    atEnd(t, () => this.close())
  }

  send(line: object): void {
    this.control.write(`${JSON.stringify(line)}\n`)
  }

  /** The next event, which must be of this name. That a process is there says little: it is passed over. */
  async next(name: string): Promise<Event> {
    let event = await this.events.take(name)
    while (event.event === 'forked') event = await this.events.take(name)
    if (event.event !== name) throw new Error(`${name} expected: ${JSON.stringify(event)}`)
    return event
  }

  async fork(slot = 0): Promise<Event> {
    this.send({ command: 'fork', slot })
    return this.next('worker')
  }

  /** The master dies: both descriptors close. */
  abandon(): void {
    this.control.destroy()
    this.life.destroy()
  }

  closeLife(): void {
    this.life.destroy()
  }

  async close(): Promise<void> {
    this.abandon()
    this.process.stdout!.resume()
    await within(this.exited, 5000, () => 'the zygote did not exit').catch(error => {
      this.process.kill('SIGKILL')
      throw error
    })
  }

  private hear(text: string): void {
    const lines = (this.partial + text).split('\n')
    this.partial = lines.pop()!
    for (const line of lines) this.events.put(JSON.parse(line) as Event)
  }
}

export interface Answer {
  readonly status: string
  readonly headers: Record<string, string>
  /** As they came: one entry for each call of the reader. */
  readonly parts: string[]
  readonly body: string
  readonly failed: boolean
  /** Complete in the frame of the head. */
  readonly whole: boolean
  readonly files: { path: string; offset: number; length: number }[]
}

export interface Log {
  readonly level: number
  readonly text: string
}

/** One front thread's connection to a worker. */
export class Front implements FrameSink {
  readonly socket: Socket
  readonly logs: Log[] = []
  readonly interim: string[][] = []
  hello!: Hello
  bye = false
  closed = false
  readonly ended: Promise<void>
  private readonly answers = new Queue<Answer>()
  private readonly greeted: Promise<Hello>
  private greet!: (hello: Hello) => void
  private pieces = new Queue<string>()
  private stream = 0
  private fields: string[] = []
  private parts: string[] = []
  private files: Answer['files'] = []
  private reader = new FrameReader(this)

  private constructor(path: string) {
    this.greeted = new Promise(resolve => (this.greet = resolve))
    this.socket = net.connect(path)
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk: Buffer) => {
      if (!this.reader.push(chunk)) throw new Error(`malformed frame: ${this.reader.error}`)
    })
    this.ended = new Promise(resolve => {
      this.socket.once('close', () => {
        this.closed = true
        resolve()
      })
    })
  }

  static async connect(t: Scope, path: string): Promise<Front> {
    const front = new Front(path)
    atEnd(t, () => front.socket.destroy())
    await within(front.greeted, 5000, () => 'the worker did not say hello')
    return front
  }

  /** Connected, but the worker may be too busy to say hello yet. */
  static begin(t: Scope, path: string): Front {
    const front = new Front(path)
    atEnd(t, () => front.socket.destroy())
    return front
  }

  async get(path = '/', more: Record<string, string> = {}, body = Buffer.alloc(0)): Promise<Answer> {
    this.ask(path, more, body)
    return this.answer()
  }

  ask(path: string, more: Record<string, string>, body: Buffer | null): number {
    this.pieces = new Queue()
    this.socket.write(encodeRequest(++this.stream, environ(path, more), body))
    return this.stream
  }

  answer(): Promise<Answer> {
    return this.answers.take('an answer')
  }

  /** The next piece of a body, as soon as it is there. */
  piece(): Promise<string> {
    return this.pieces.take('a piece of the body')
  }

  onHello(hello: Hello): void {
    this.hello = hello
    this.greet(hello)
  }

  onHead(stream: number, fields: string[], body: Buffer, _bodySize: number, end: boolean): void {
    if (stream !== this.stream) throw new Error(`answer for stream ${stream}`)
    this.fields = fields
    this.parts = []
    this.files = []
    if (body.length !== 0) this.parts.push(body.toString('latin1'))
    if (end) this.finish(false, true)
  }

  onData(_stream: number, bytes: Buffer, end: boolean): void {
    const text = bytes.toString('latin1')
    if (text !== '') {
      this.parts.push(text)
      this.pieces.put(text)
    }
    if (end) this.finish(false, false)
  }

  onInterim(_stream: number, fields: string[]): void {
    this.interim.push(fields)
  }

  onTrailers(): void {}

  onFile(_stream: number, path: string, offset: number, length: number): void {
    this.files.push({ path, offset, length })
  }

  onLog(_stream: number, level: number, text: string): void {
    this.logs.push({ level, text })
  }

  onFail(): void {
    this.finish(true, false)
  }

  onBye(): void {
    this.bye = true
  }

  private finish(failed: boolean, whole: boolean): void {
    const headers: Record<string, string> = {}
    for (let i = 1; i < this.fields.length; i += 2) headers[this.fields[i]!.toLowerCase()] = this.fields[i + 1]!
    const { parts, files } = this
    this.answers.put({ status: this.fields[0]!, headers, parts, body: parts.join(''), failed, whole, files })
  }
}

export function environ(path: string, more: Record<string, string> = {}): string[] {
  const query = path.indexOf('?')
  const pairs = {
    REQUEST_METHOD: 'GET',
    SCRIPT_NAME: '',
    QUERY_STRING: query < 0 ? '' : path.slice(query + 1),
    SERVER_PROTOCOL: 'HTTP/1.1',
    SERVER_NAME: 'localhost',
    SERVER_PORT: '80',
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_PORT: '50000',
    RAW_URI: path,
    'wsgi.url_scheme': 'http',
    HTTP_HOST: 'localhost',
    ...more,
  }
  return [...Object.entries(pairs).flat(), 'PATH_INFO', query < 0 ? path : path.slice(0, query)]
}

/** A worker ready to be asked. */
export async function serve(t: Scope, settings: Settings): Promise<{ zygote: Zygote; front: Front; worker: Event }> {
  const zygote = new Zygote(t, settings)
  await zygote.next('ready')
  const worker = await zygote.fork()
  const front = await Front.connect(t, worker.path)
  return { zygote, front, worker }
}
