// The first message of a TLS client (RFC 8446, 4.1.2), read before OpenSSL gets it: the name it asks for decides which
// server's settings the handshake runs with, and what it offers is told by no interface of Node's. Only reads; what is
// malformed is left to OpenSSL to refuse, which knows the right alert.

/** Lists are looked for when somebody asks for them, which is rare. */
export class ClientHello {
  /** As the client spells it; '' without the extension. */
  readonly spelledName: string
  /** The same in lower case. */
  readonly serverName: string
  private readonly message: Buffer
  private readonly suitesEnd: number
  /** Where the first extension is. */
  private readonly extensions: number

  /** @param message a whole one, whose lengths have been found to fit; it is copied */
  constructor(message: Buffer, suitesEnd: number, extensions: number, serverName: string) {
    this.message = Buffer.from(message)
    this.suitesEnd = suitesEnd
    this.extensions = extensions
    this.spelledName = serverName
    this.serverName = serverName.toLowerCase()
  }

  /** Numbers of cipher suites, groups and signature algorithms, in the client's order. */
  get ciphers(): readonly number[] {
    const { message, suitesEnd } = this
    return message.length === 0 ? [] : numbers(message, 37 + message[34]!, suitesEnd)
  }

  get groups(): readonly number[] {
    return this.list(SUPPORTED_GROUPS)
  }

  get signatureAlgorithms(): readonly number[] {
    return this.list(SIGNATURE_ALGORITHMS)
  }

  /** Is this one of the protocols it offers to speak (ALPN)? */
  offers(protocol: string): boolean {
    return this.contentOf(ALPN)
      .toString('latin1')
      .includes(String.fromCharCode(protocol.length) + protocol)
  }

  /** All it offers to speak, as it spells them. */
  get protocols(): readonly string[] {
    const content = this.contentOf(ALPN)
    const names: string[] = []
    for (let at = 2; at < content.length; at += 1 + content[at]!) {
      names.push(content.toString('latin1', at + 1, at + 1 + content[at]!))
    }
    return names
  }

  /** The highest version it knows, as nginx writes it; '' for one that nobody has heard of. */
  get version(): string {
    const content = this.contentOf(SUPPORTED_VERSIONS)
    const known = numbers(content, 1, content.length).filter(number => number in VERSIONS)
    const legacy = this.message.length < 2 ? 0 : this.message.readUInt16BE(0)
    return VERSIONS[known.length > 0 ? Math.max(...known) : legacy] ?? ''
  }

  private list(type: number): readonly number[] {
    const content = this.contentOf(type)
    return numbers(content, 2, content.length)
  }

  /** Of an extension; empty without it. */
  private contentOf(type: number): Buffer {
    const { message } = this
    for (let at = this.extensions; at + 4 <= message.length;) {
      const end = at + 4 + message.readUInt16BE(at + 2)
      if (message.readUInt16BE(at) === type) return message.subarray(at + 4, end)
      at = end
    }
    return NOTHING
  }
}

const NOTHING = Buffer.alloc(0)

/** Type of a TLS record that holds handshake messages: the first byte of every connection. */
export const HANDSHAKE = 22

/** More of a hello than this is not waited for; browsers' are below 2 kB. */
const SIZE_MAX = 65536
/** Each chunk that comes is read from the beginning: more pieces than this are made by nobody but who wants to keep us busy. */
const RECORDS_MAX = 256
const RECORD_HEAD = 5
/** Of what is not encrypted (RFC 8446, 5.1). */
const RECORD_MAX = 16384
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const SUPPORTED_GROUPS = 10
const SIGNATURE_ALGORITHMS = 13
const ALPN = 16
const SUPPORTED_VERSIONS = 43

const VERSIONS: Readonly<Record<number, string>> = {
  0x0002: 'SSLv2',
  0x0300: 'SSLv3',
  0x0301: 'TLSv1',
  0x0302: 'TLSv1.1',
  0x0303: 'TLSv1.2',
  0x0304: 'TLSv1.3',
}

export const UNREADABLE = new ClientHello(NOTHING, 0, 0, '')

/** The hello of a client so old that it begins in the way of SSL 2, which tells no more than a version; null: it is none. */
export function readOldHello(bytes: Buffer): ClientHello | null {
  if (bytes.length < RECORD_HEAD || (bytes[0]! & 0x80) === 0 || bytes[2] !== CLIENT_HELLO) return null
  const major = bytes[3]!
  return major === 0 || major === 3 ? new ClientHello(bytes.subarray(3, 5), 0, 2, '') : null
}

/** The hello that begins at `start`, UNREADABLE if it is none; null: it is not complete. */
export function readClientHello(bytes: Buffer, start: number, end: number): ClientHello | null {
  // What comes behind the hello may be any amount.
  const until = Math.min(end, start + SIZE_MAX)
  const message = handshakeMessage(bytes, start, until)
  if (message === null) return until < end ? UNREADABLE : null
  if (message.length === 0) return UNREADABLE
  try {
    return parse(message)
  } catch (error) {
    if (error instanceof RangeError) return UNREADABLE
    throw error
  }
}

/** The first message, put together from its records; null: not complete; empty: not a hello. */
function handshakeMessage(bytes: Buffer, start: number, end: number): Buffer | null {
  const fragments: Buffer[] = []
  let have = 0
  let needed = 0
  for (let at = start; ;) {
    if (at < end && bytes[at] !== HANDSHAKE) return Buffer.alloc(0)
    if (end - at < RECORD_HEAD) return null
    const size = bytes.readUInt16BE(at + 3)
    if (size === 0 || size > RECORD_MAX) return Buffer.alloc(0)
    if (end - at < RECORD_HEAD + size) return null
    fragments.push(bytes.subarray(at + RECORD_HEAD, at + RECORD_HEAD + size))
    have += size
    at += RECORD_HEAD + size
    if (fragments.length > RECORDS_MAX) return Buffer.alloc(0)
    if (have < 4) continue
    if (needed === 0) {
      const head = together(fragments)
      if (head[0] !== CLIENT_HELLO) return Buffer.alloc(0)
      needed = 4 + head.readUIntBE(1, 3)
      if (needed > SIZE_MAX) return Buffer.alloc(0)
    }
    if (have >= needed) return together(fragments).subarray(4, needed)
  }
}

function together(fragments: readonly Buffer[]): Buffer {
  return fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments)
}

/** Throws RangeError where a length leads out of the message. */
function parse(message: Buffer): ClientHello {
  let at = 34
  at += 1 + message.readUInt8(at)
  const suitesEnd = at + 2 + message.readUInt16BE(at)
  at = suitesEnd
  at += 1 + message.readUInt8(at)
  // Extensions may be missing altogether.
  const end = at === message.length ? at : at + 2 + message.readUInt16BE(at)
  const extensions = at + 2
  let serverName = ''
  for (at = extensions; at < end;) {
    const type = message.readUInt16BE(at)
    const size = message.readUInt16BE(at + 2)
    at += 4
    if (type === SERVER_NAME) serverName = hostName(message, at, at + size)
    at += size
  }
  if (at > message.length + 2) throw new RangeError()
  return new ClientHello(message, suitesEnd, extensions, serverName)
}

function numbers(message: Buffer, start: number, end: number): number[] {
  const found: number[] = []
  for (let at = start; at + 1 < Math.min(end, message.length); at += 2) found.push(message.readUInt16BE(at))
  return found
}

/** RFC 6066, 3: a list in which only the type host_name (0) is defined. */
function hostName(message: Buffer, start: number, end: number): string {
  if (end - start < 5 || message.readUInt8(start + 2) !== 0) return ''
  const size = message.readUInt16BE(start + 3)
  if (start + 5 + size > end || end > message.length) return ''
  return message.toString('latin1', start + 5, start + 5 + size)
}
