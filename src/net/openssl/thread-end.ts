// What OpenSSL has of a thread belongs to the process: it outlives the thread, which a reload ends, unless it is given back. The
// collector does not run at a thread's end, and connections of it may still be open then.

import { SSL_RECEIVED_SHUTDOWN, SSL_SENT_SHUTDOWN } from './constants.ts'
import { openssl } from './library.ts'

/** A connection that has an SSL, between those that were made before and after it. */
export interface OpenConnection {
  /** Its SSL. */
  readonly pointer: bigint
  older: OpenConnection | null
  newer: OpenConnection | null
}

let newest: OpenConnection | null = null
const contexts = new Set<bigint>()
const bios: bigint[] = []
let awaitsEnd = false
/** What is known of contexts, by their addresses. */
const known: Map<bigint, unknown>[] = []

/** Its SSL has been made. */
export function begun(connection: OpenConnection): void {
  connection.older = newest
  if (newest !== null) newest.newer = connection
  newest = connection
}

/** Its SSL is about to go. */
export function freed(connection: OpenConnection): void {
  const { older, newer } = connection
  if (older !== null) older.newer = newer
  if (newer === null) newest = older
  else newer.older = older
  connection.older = null
  connection.newer = null
}

/** Contexts nobody refers to any more. */
const abandoned = new FinalizationRegistry<bigint>(freeContext)

/** Frees an SSL_CTX with the object that stands for it. */
export function freeWith(owner: object, context: bigint): void {
  awaitEnd()
  contexts.add(context)
  abandoned.register(owner, context)
}

/** What is known of a context goes with it. */
export function forgetWith(byContext: Map<bigint, unknown>): void {
  known.push(byContext)
}

/** Frees BIOs that all of a thread's connections use. */
export function freeAtEnd(...shared: bigint[]): void {
  awaitEnd()
  bios.push(...shared)
}

function awaitEnd(): void {
  if (!awaitsEnd) process.once('exit', freeAll)
  awaitsEnd = true
}

function freeContext(context: bigint): void {
  if (!contexts.delete(context)) return
  for (const byContext of known) byContext.delete(context)
  const o = openssl()
  // What it has remembered itself is no reason to forget it elsewhere.
  o.SSL_CTX_sess_set_remove_cb(context, 0n)
  o.SSL_CTX_free(context)
}

function freeAll(): void {
  const o = openssl()
  for (let one = newest; one !== null; one = one.older) {
    o.SSL_set_shutdown(one.pointer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
    o.SSL_free(one.pointer)
  }
  newest = null
  for (const context of contexts) freeContext(context)
  for (const bio of bios.splice(0)) o.BIO_free(bio)
}
