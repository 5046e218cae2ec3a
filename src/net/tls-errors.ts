// How TLS connections fail: what OpenSSL says, and what a client is told that gets no handshake at all.

/** OpenSSL has ended the connection. */
export class TlsError extends Error {
  readonly handshaking: boolean
  constructor(message: string, handshaking: boolean) {
    super(message)
    this.handshaking = handshaking
  }
}

/** What OpenSSL has said; null: it was not OpenSSL. */
export function opensslText(error: Error): string | null {
  return error instanceof TlsError ? error.message : null
}

/** Goes to whoever asks for a name nobody here has (RFC 8446, 6.2): a fatal alert, unrecognized_name. */
export const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112])

/** internal_error: what was configured cannot be used. */
export const INTERNAL_ERROR = Buffer.from([21, 3, 3, 0, 2, 2, 80])
