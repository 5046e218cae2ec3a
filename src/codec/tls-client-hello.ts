// The first message of a TLS client (RFC 8446, 4.1.2), read before OpenSSL gets it: the name it asks for decides which
// server's settings the handshake runs with, and what it offers is told by no interface of Node's. Only reads; what is
// malformed is left to OpenSSL to refuse, which knows the right alert.

/** Lists are read when somebody asks for them, which is rare. */
export class ClientHello {
  /** Lower case, '' without the extension. */
  readonly serverName: string
  private readonly message: Buffer
  /** Where the lists are: suites, and by type the extensions. */
  private readonly suites: readonly [start: number, end: number]
  private readonly extensions: ReadonlyMap<number, readonly [start: number, end: number]>

  constructor(
    message: Buffer,
    suites: readonly [start: number, end: number],
    extensions: ReadonlyMap<number, readonly [start: number, end: number]>,
  ) {
    this.message = message
    this.suites = suites
    this.extensions = extensions
    const name = extensions.get(SERVER_NAME)
    this.serverName = name === undefined ? '' : hostName(message, name[0], name[1])
  }

  /** Numbers of cipher suites, groups and signature algorithms, in the client's order. */
  get ciphers(): readonly number[] {
    return numbers(this.message, this.suites[0], this.suites[1])
  }

  get groups(): readonly number[] {
    return this.list(SUPPORTED_GROUPS)
  }

  get signatureAlgorithms(): readonly number[] {
    return this.list(SIGNATURE_ALGORITHMS)
  }

  /** Is this one of the protocols it offers to speak (ALPN)? */
  offers(protocol: string): boolean {
    const at = this.extensions.get(ALPN)
    return (
      at !== undefined &&
      this.message.toString('latin1', ...at).includes(String.fromCharCode(protocol.length) + protocol)
    )
  }

  /** All it offers to speak, as it spells them. */
  get protocols(): readonly string[] {
    const at = this.extensions.get(ALPN)
    const names: string[] = []
    if (at === undefined) return names
    for (let i = at[0] + 2; i < at[1]; i += 1 + this.message[i]!) {
      names.push(this.message.toString('latin1', i + 1, Math.min(i + 1 + this.message[i]!, at[1])))
    }
    return names
  }

  /** The highest version it knows, as nginx writes it; '' for one that nobody has heard of. */
  get version(): string {
    const at = this.extensions.get(SUPPORTED_VERSIONS)
    const known = at === undefined ? [] : numbers(this.message, at[0] + 1, at[1]).filter(number => number in VERSIONS)
    const legacy = this.message.length < 2 ? 0 : this.message.readUInt16BE(0)
    return VERSIONS[known.length > 0 ? Math.max(...known) : legacy] ?? ''
  }

  private list(type: number): readonly number[] {
    const at = this.extensions.get(type)
    return at === undefined ? [] : numbers(this.message, at[0] + 2, at[1])
  }
}

/** Type of a TLS record that holds handshake messages: the first byte of every connection. */
export const HANDSHAKE = 22

/** More of a hello than this is not waited for; browsers' are below 2 kB. */
const SIZE_MAX = 65536
const RECORD_HEAD = 5
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const SUPPORTED_GROUPS = 10
const SIGNATURE_ALGORITHMS = 13
const ALPN = 16
const SUPPORTED_VERSIONS = 43

const VERSIONS: Readonly<Record<number, string>> = {
  0x0300: 'SSLv3',
  0x0301: 'TLSv1',
  0x0302: 'TLSv1.1',
  0x0303: 'TLSv1.2',
  0x0304: 'TLSv1.3',
}

export const UNREADABLE = new ClientHello(Buffer.alloc(0), [0, 0], new Map())

/** The hello that begins at `start`, UNREADABLE if it is none; null: it is not complete. */
export function readClientHello(bytes: Buffer, start: number, end: number): ClientHello | null {
  if (end - start > SIZE_MAX) return UNREADABLE
  const message = handshakeMessage(bytes, start, end)
  if (message === null || message.length === 0) return message === null ? null : UNREADABLE
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
  for (let at = start; ;) {
    if (at < end && bytes[at] !== HANDSHAKE) return Buffer.alloc(0)
    if (end - at < RECORD_HEAD) return null
    const size = bytes.readUInt16BE(at + 3)
    if (size === 0) return Buffer.alloc(0)
    if (end - at < RECORD_HEAD + size) return null
    fragments.push(bytes.subarray(at + RECORD_HEAD, at + RECORD_HEAD + size))
    have += size
    at += RECORD_HEAD + size
    if (have < 4) continue
    const all = fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments)
    if (all[0] !== CLIENT_HELLO) return Buffer.alloc(0)
    const needed = 4 + all.readUIntBE(1, 3)
    if (needed > SIZE_MAX) return Buffer.alloc(0)
    if (have >= needed) return all.subarray(4, needed)
  }
}

/** Throws RangeError where a length leads out of the message. */
function parse(message: Buffer): ClientHello {
  let at = 34
  at += 1 + message.readUInt8(at)
  const suitesEnd = at + 2 + message.readUInt16BE(at)
  const suites = [at + 2, suitesEnd] as const
  at = suitesEnd
  at += 1 + message.readUInt8(at)
  const extensions = new Map<number, readonly [number, number]>()
  // Extensions may be missing altogether.
  const extensionsEnd = at === message.length ? at : at + 2 + message.readUInt16BE(at)
  for (at += 2; at < extensionsEnd;) {
    const type = message.readUInt16BE(at)
    const size = message.readUInt16BE(at + 2)
    at += 4
    extensions.set(type, [at, at + size])
    at += size
  }
  if (suitesEnd > message.length || extensionsEnd > message.length || at > extensionsEnd + 2) throw new RangeError()
  return new ClientHello(Buffer.from(message), suites, extensions)
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
  return message.toString('latin1', start + 5, start + 5 + size).toLowerCase()
}
