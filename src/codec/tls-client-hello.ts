// The first message of a TLS client (RFC 8446, 4.1.2), read before OpenSSL gets it: the name it asks for decides which
// server's settings the handshake runs with, and what it offers is told by no interface of Node's. Only reads; what is
// malformed is left to OpenSSL to refuse, which knows the right alert.

export interface ClientHello {
  /** Lower case, '' without the extension. */
  readonly serverName: string
  /** Numbers of cipher suites and groups, in the client's order. */
  readonly ciphers: readonly number[]
  readonly groups: readonly number[]
}

/** Type of a TLS record that holds handshake messages: the first byte of every connection. */
export const HANDSHAKE = 22

/** More of a hello than this is not waited for; browsers' are below 2 kB. */
const SIZE_MAX = 65536
const RECORD_HEAD = 5
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const SUPPORTED_GROUPS = 10

export const UNREADABLE: ClientHello = { serverName: '', ciphers: [], groups: [] }

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
  const ciphersEnd = at + 2 + message.readUInt16BE(at)
  const ciphers = numbers(message, at + 2, ciphersEnd)
  at = ciphersEnd
  at += 1 + message.readUInt8(at)
  let serverName = ''
  let groups: readonly number[] = []
  // Extensions may be missing altogether.
  const extensionsEnd = at === message.length ? at : at + 2 + message.readUInt16BE(at)
  for (at += 2; at < extensionsEnd;) {
    const type = message.readUInt16BE(at)
    const size = message.readUInt16BE(at + 2)
    at += 4
    if (type === SERVER_NAME) serverName = hostName(message, at, at + size)
    else if (type === SUPPORTED_GROUPS) groups = numbers(message, at + 2, at + size)
    at += size
  }
  return { serverName, ciphers, groups }
}

function numbers(message: Buffer, start: number, end: number): number[] {
  const found: number[] = []
  for (let at = start; at + 1 < end; at += 2) found.push(message.readUInt16BE(at))
  return found
}

/** RFC 6066, 3: a list in which only the type host_name (0) is defined. */
function hostName(message: Buffer, start: number, end: number): string {
  if (end - start < 5 || message.readUInt8(start + 2) !== 0) return ''
  const size = message.readUInt16BE(start + 3)
  if (start + 5 + size > end || end > message.length) return ''
  return message.toString('latin1', start + 5, start + 5 + size).toLowerCase()
}
