// permessage-deflate (RFC 7692): what of a client's offers is accepted, and messages made smaller and larger again.
//
// No side keeps its window from one message to the next (client_ and server_no_context_takeover): a connection that is silent
// then costs no memory for compression, which is what an attacker, and ten thousand idle browsers, would use up.

import { constants, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib'

export interface Deflate {
  /** Sec-WebSocket-Extensions of the answer. */
  readonly answer: string
  /** The window we may use. */
  readonly windowBits: number
}

const WINDOW_MAX = 15
/** Of zlib's raw deflate: it takes 9 where it is told 8, which the client could not read. */
const WINDOW_MIN = 9
/** Header values longer than this are no offer of any client's. */
const OFFERS_MAX = 4096
/** What ends every compressed message and is not sent (7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff])
/** Speed goes before the last percent: it is done between other clients' requests. */
const LEVEL = 3
/** Compressed bytes that are inflated at once: they cannot become more than a megabyte. */
const AT_ONCE_MAX = 1024

/** The first of the offers that can be accepted, null for none (5.1). */
export function acceptOffer(offers: string): Deflate | null {
  if (offers.length > OFFERS_MAX) return null
  for (const offer of offers.split(',')) {
    const [name, ...parameters] = offer.split(';').map(part => part.trim())
    if (name!.toLowerCase() !== 'permessage-deflate') continue
    const bits = windowOf(parameters)
    if (bits === null) continue
    // What was asked for is agreed to by saying it again, even where it changes nothing (7.1.2.1).
    const window = bits > 0 ? `; server_max_window_bits=${bits}` : ''
    const answer = `permessage-deflate; server_no_context_takeover; client_no_context_takeover${window}`
    return { answer, windowBits: bits || WINDOW_MAX }
  }
  return null
}

/** The window an offer leaves us, 0 for any; null when it says what it must not, or what we cannot do (7.1). */
function windowOf(parameters: readonly string[]): number | null {
  const seen = new Set<string>()
  let bits = 0
  for (const parameter of parameters) {
    const equals = parameter.indexOf('=')
    const name = (equals < 0 ? parameter : parameter.slice(0, equals)).trim().toLowerCase()
    const value =
      equals < 0
        ? null
        : parameter
            .slice(equals + 1)
            .trim()
            .replace(/^"(.*)"$/, '$1')
    if (seen.has(name)) return null
    seen.add(name)
    const number = value !== null && /^(?:[89]|1[0-5])$/.test(value) ? Number(value) : 0
    switch (name) {
      case 'server_no_context_takeover':
      case 'client_no_context_takeover':
        if (value !== null) return null
        break
      case 'client_max_window_bits':
        if (value !== null && number === 0) return null
        break
      case 'server_max_window_bits':
        if (number < WINDOW_MIN) return null
        bits = number
        break
      default:
        return null
    }
  }
  return bits
}

/** A message as it is sent. */
export function deflateMessage(message: Buffer, windowBits: number): Buffer {
  if (message.length === 0) return Buffer.from([0])
  const options = { windowBits, level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH }
  const bytes = deflateRawSync(message, options)
  // It ends with the four bytes that the reader adds again.
  return bytes.subarray(0, bytes.length - TAIL.length)
}

/**
 * A message as it was meant. Small ones at once; others beside the loop, so that what a few bytes can be blown up to holds up
 * nobody else.
 * @param done null: it is no deflate; `tooBig`: it becomes more than `most` bytes
 * @returns whether `done` has been called
 */
export function inflateMessage(
  compressed: Buffer,
  most: number,
  done: (message: Buffer | null, tooBig: boolean) => void,
): boolean {
  const whole = Buffer.concat([compressed, TAIL])
  const options = { windowBits: WINDOW_MAX, finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: Math.max(most, 1) }
  if (compressed.length > AT_ONCE_MAX) {
    inflateRaw(whole, options, (error, message) => done(error === null ? message : null, isTooBig(error)))
    return false
  }
  let message: Buffer
  try {
    message = inflateRawSync(whole, options)
  } catch (error) {
    done(null, isTooBig(error))
    return true
  }
  done(message, false)
  return true
}

function isTooBig(error: unknown): boolean {
  return error !== null && (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}
