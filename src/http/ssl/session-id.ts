// The identifier of a TLS session, out of OpenSSL's serialisation of it (ASN.1: version, protocol, cipher, session id, …).

const SEQUENCE = 0x30
const INTEGER = 0x02
const OCTETS = 0x04
const LAYOUT = [INTEGER, INTEGER, OCTETS, OCTETS]

/** In hexadecimal digits; '' when there is none. */
export function sessionId(session: Buffer | null): string {
  if (session === null || session[0] !== SEQUENCE) return ''
  let at = contentOf(session, 0)
  for (const [i, tag] of LAYOUT.entries()) {
    if (session[at] !== tag) return ''
    const content = contentOf(session, at)
    const end = content + lengthOf(session, at)
    if (i === LAYOUT.length - 1) return session.toString('hex', content, end)
    at = end
  }
  return ''
}

function contentOf(bytes: Buffer, at: number): number {
  const first = bytes[at + 1]!
  return at + 2 + (first < 128 ? 0 : first - 128)
}

function lengthOf(bytes: Buffer, at: number): number {
  const first = bytes[at + 1]!
  return first < 128 ? first : bytes.readUIntBE(at + 2, Math.min(6, Math.max(1, first - 128)))
}
