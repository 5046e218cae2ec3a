// What OpenSSL has to say of its last failure, in the form nginx logs it: `(SSL: error:0A000086:SSL routines::…)`.

import { openssl } from './library.ts'
import { textAt } from './memory.ts'

/** A call has failed: `message` names it and says why. */
export class OpensslFailure extends Error {}

const TEXT_SIZE = 256
const HAS_TEXT = 2

const text = Buffer.alloc(TEXT_SIZE)
const data = Buffer.alloc(8)
const flags = Buffer.alloc(4)

/** The errors this thread has queued, oldest first; none are left. '' if there were none. */
export function queuedErrors(): string {
  const o = openssl()
  const errors: string[] = []
  for (;;) {
    const code = o.ERR_peek_error_data(data, flags)
    if (code === 0n) break
    o.ERR_error_string_n(code, text, BigInt(TEXT_SIZE))
    let error = text.toString('latin1', 0, text.indexOf(0))
    const words = textAt(data.readBigUInt64LE())
    if (words !== '' && (flags.readInt32LE() & HAS_TEXT) !== 0) error += `:${words}`
    errors.push(error)
    o.ERR_get_error()
  }
  return errors.join(' ')
}

/** Throws for the call that has just failed. */
export function fail(what: string): never {
  const errors = queuedErrors()
  throw new OpensslFailure(errors === '' ? what : `${what} (SSL: ${errors})`)
}

/** SSL_get_error() takes what is in the queue for its own. To look costs a sixth of what emptying it does. */
export function clearErrors(): void {
  const o = openssl()
  if (o.ERR_peek_error() !== 0n) o.ERR_clear_error()
}
