// Reads HTTP/1.x messages off a connection, for the tests' clients and origins. It shares nothing with src/codec, whose
// mistakes it must not have, and it is strict: what it cannot make sense of is an error, since in a test that is news.

export interface Message {
  /** `HTTP/1.1 200 OK` or `GET / HTTP/1.1`. */
  readonly startLine: string
  /** In the order received, names as spelled. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly trailers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** Everything up to the empty line, as received. */
  readonly head: string
  /** All values of a field joined by ", ", or null; whatever the case of its name. */
  header(name: string): string | null
  /** The body as UTF-8. */
  readonly text: string
}

export interface Response extends Message {
  readonly version: string
  readonly status: number
  readonly reason: string
}

export interface Request extends Message {
  readonly version: string
  readonly method: string
  readonly target: string
}

type Fields = [name: string, value: string][]
type State = 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'done'

/** One message; feed it until `done`. What follows the message is left in what feed() returns. */
export class MessageReader {
  state: State = 'head'
  readonly isRequest: boolean
  /** The method that a response answers: one to HEAD or a successful CONNECT has no body. */
  readonly method: string
  line = ''
  startLine = ''
  head = ''
  headers: Fields = []
  trailers: Fields = []
  body: Buffer[] = []
  left = 0

  constructor(kind: 'request' | 'response', method = 'GET') {
    this.isRequest = kind === 'request'
    this.method = method
  }

  get done(): boolean {
    return this.state === 'done'
  }

  /** True as soon as one byte of the message has come. */
  get begun(): boolean {
    return this.state !== 'head' || this.line !== '' || this.head !== ''
  }

  /** Takes bytes; gives back those that belong to the next message. */
  feed(bytes: Buffer): Buffer {
    let at = 0
    while (at < bytes.length && this.state !== 'done') {
      if (this.state === 'length' || this.state === 'chunk' || this.state === 'until-close') {
        const take = this.state === 'until-close' ? bytes.length - at : Math.min(this.left, bytes.length - at)
        this.body.push(Buffer.from(bytes.subarray(at, at + take)))
        at += take
        this.left -= take
        if (this.left === 0 && this.state !== 'until-close') this.state = this.state === 'chunk' ? 'chunk-end' : 'done'
        continue
      }
      const end = bytes.indexOf(10, at)
      this.line += bytes.toString('latin1', at, end === -1 ? bytes.length : end + 1)
      at = end === -1 ? bytes.length : end + 1
      if (end === -1) break
      const line = this.line
      this.line = ''
      if (!line.endsWith('\r\n')) throw malformed('a line ends without a carriage return', line)
      this.takeLine(line.slice(0, -2))
    }
    return bytes.subarray(at)
  }

  /** The peer has sent all it will: the end of a body until close, or a broken message. */
  end(): void {
    if (this.state === 'until-close') this.state = 'done'
    if (this.state !== 'done')
      throw new Error(`connection closed inside a message, in its ${this.state}: "${this.head}"`)
  }

  takeLine(line: string): void {
    switch (this.state) {
      case 'head':
        this.head += `${line}\r\n`
        if (line === '' && this.startLine !== '') this.state = this.bodyState()
        else if (this.startLine === '') this.startLine = line
        else this.headers.push(field(line))
        return
      case 'chunk-size':
        if (!/^[0-9a-f]{1,13}(?:[ \t]*;.*)?$/i.test(line)) throw malformed('chunk size', line)
        this.left = parseInt(line, 16)
        this.state = this.left === 0 ? 'trailers' : 'chunk'
        return
      case 'chunk-end':
        if (line !== '') throw malformed('end of chunk', line)
        this.state = 'chunk-size'
        return
      default:
        if (line === '') this.state = 'done'
        else this.trailers.push(field(line))
    }
  }

  /** RFC 9112 section 6.3: what follows the head. */
  bodyState(): State {
    const status = this.isRequest ? 0 : responseLine(this.startLine).status
    if (!this.isRequest) {
      if (this.method === 'HEAD' || status < 200 || status === 204 || status === 304) return 'done'
      if (this.method === 'CONNECT' && status < 300) return 'done'
    }
    const coding = find(this.headers, 'transfer-encoding')
    const length = find(this.headers, 'content-length')
    if (coding !== null && length !== null) throw malformed('both transfer-encoding and content-length', this.head)
    if (coding !== null) {
      if (coding.toLowerCase() !== 'chunked') throw malformed('transfer-encoding', coding)
      return 'chunk-size'
    }
    if (length === null) return this.isRequest ? 'done' : 'until-close'
    if (!/^\d+$/.test(length)) throw malformed('content-length', length)
    this.left = Number(length)
    return this.left === 0 ? 'done' : 'length'
  }

  response(): Response {
    return { ...this.message(), ...responseLine(this.startLine) }
  }

  request(): Request {
    const match = /^([^\0- ]+) ([^\0- ]+) (HTTP\/\d\.\d)$/.exec(this.startLine)
    if (match === null) throw malformed('request line', this.startLine)
    return { ...this.message(), method: match[1]!, target: match[2]!, version: match[3]! }
  }

  message(): Message {
    const { startLine, headers, trailers, head } = this
    const body = Buffer.concat(this.body)
    return { startLine, headers, trailers, head, body, text: body.toString(), header: name => find(headers, name) }
  }
}

function responseLine(line: string): { version: string; status: number; reason: string } {
  const match = /^(HTTP\/\d\.\d) ([1-9]\d\d)(?: (.*))?$/.exec(line)
  if (match === null) throw malformed('status line', line)
  return { version: match[1]!, status: Number(match[2]), reason: match[3] ?? '' }
}

function field(line: string): [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line)
  if (match === null) throw malformed('header line', line)
  return [match[1]!, match[2]!]
}

function find(fields: Fields, name: string): string | null {
  const wanted = name.toLowerCase()
  const values = fields.filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value)
  return values.length === 0 ? null : values.join(', ')
}

function malformed(what: string, text: string): Error {
  return new Error(`malformed ${what}: ${JSON.stringify(text)}`)
}
