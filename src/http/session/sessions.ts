// All client connections of a thread, those of the http block and those of stream: counted together against worker_connections,
// and ended in good order when the thread retires.

import { ALERT, type ErrorLog } from '../../log/error-log.ts'
import type { ConnectionLimit } from '../../upstream/connection-limit.ts'
import { countAccepted } from '../../zone/connection-counts.ts'
import type { ListenRuntime } from '../runtime.ts'
import type { PassedConnection } from './passed-connection.ts'
import { Http1Session } from './session.ts'

let connectionCount = 0

/** A client's connection, whatever is spoken on it. */
export interface Session {
  readonly connectionNumber: number
  readonly listen: ListenRuntime
  /** No request is under way. */
  readonly idle: boolean
  /** Idle, and it has had an answer. */
  readonly kept: boolean
  /** When it became one that may be closed for want of room, in nextSpare()'s count; 0: it is none. */
  readonly spareSince: number
  closeNow(): void
  /** As closeNow(), where nobody will hear of the connection's end: what is under way is logged at once. */
  cut?(): void
  /** It has been added to the others: now it may begin, and end. */
  opened?(): void
  /** No more requests, please. */
  retire(): void
  /** What would last for ever ends now, as well as it can: websockets. */
  dismiss?(): void
  /** It brings no more requests, or an answer is under way that has no end of its own. */
  readonly lasting?: boolean
  /** It ends with the answers that are under way. */
  keepNone?(): void
}

/** Idle connections of a retired thread may still bring the request that is on its way. Milliseconds. */
export const LAST_REQUEST_GRACE = 1000

/** A connection's first session; `handle` is libuv's, or a PassedConnection. */
export type MakeSession = (handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) => Session

const makeHttp: MakeSession = (handle, listen, sessions, number) => new Http1Session(handle, listen, sessions, number)

export class Sessions {
  /** The thread takes no new connections and keeps none. */
  draining = false
  private readonly all = new Set<Session>()
  private readonly limit: ConnectionLimit
  readonly errorLog: ErrorLog
  private readonly make: MakeSession
  private readonly idling: 'some' | 'never'
  private emptied: (() => void) | null = null
  /** Connections that go on as sessions of other groups: this one has not ended before they have. */
  private passedOn = 0

  /** @param idling `never`: none of these sessions is ever idle, and need not be asked */
  constructor(
    limit: ConnectionLimit,
    errorLog: ErrorLog,
    make: MakeSession = makeHttp,
    idling: 'some' | 'never' = 'some',
  ) {
    this.idling = idling
    this.limit = limit
    limit.add(this)
    this.errorLog = errorLog
    this.make = make
  }

  get size(): number {
    return this.all.size
  }

  /** A connection was accepted. */
  add(handle: unknown, listen: ListenRuntime): void {
    const number = this.place()
    if (number === 0) {
      this.tellFull()
      ;(handle as { close(): void }).close()
    } else this.insert(this.make(handle, listen, this, number))
  }

  /** A place for one more client. @returns the connection's number; 0: there is none */
  place(): number {
    if (!this.limit.makesRoom()) return 0
    connectionCount++
    countAccepted()
    return connectionCount
  }

  /** A client was turned away. */
  tellFull(): void {
    this.errorLog.log(ALERT, this.limit.refusal)
  }

  /** A session that has been given a place. */
  insert(session: Session): void {
    this.all.add(session)
    session.opened?.()
  }

  /** A connection that was another group's is one of ours. */
  receive(passed: PassedConnection, listen: ListenRuntime): void {
    const session = this.make(passed, listen, this, passed.connectionNumber)
    this.all.add(session)
    if (this.draining) session.retire()
    session.opened?.()
  }

  /** The connection is another group's from now on. @returns what is to be called when it has ended */
  passOn(session: Session): () => void {
    this.all.delete(session)
    this.passedOn++
    return () => {
      this.passedOn--
      this.tellEmpty()
    }
  }

  /** For what goes wrong outside of requests. */
  log(level: number, message: string, session: Session): void {
    this.errorLog.log(level, `${message}, server: ${session.listen.address}`, session.connectionNumber)
  }

  /** The connection is another session's from now on. */
  replace(before: Session, after: Session): void {
    this.all.delete(before)
    this.all.add(after)
    if (this.draining) after.retire()
  }

  remove(session: Session): void {
    this.all.delete(session)
    this.tellEmpty()
  }

  /**
   * Ends connections as they become idle and calls `emptied` when none is left. Those that have not brought a request yet
   * get a moment for their first.
   * @param grace true (reload): all idle ones get that moment, in which a request that is under way is still answered
   */
  drain(grace: boolean, emptied: () => void): void {
    this.draining = true
    this.emptied = emptied
    // Requests that the kernel already has are read before connections are closed over them, or a client is told that they were
    // for nothing: so the loop looks at its sockets once more.
    setImmediate(() => setImmediate(() => this.takeLeave(grace)))
    this.tellEmpty()
  }

  private takeLeave(grace: boolean): void {
    if (!grace) {
      for (const session of this.all) {
        if (session.kept) session.closeNow()
        else session.dismiss?.()
      }
    }
    for (const session of this.all) session.retire()
    setTimeout(() => this.closeIdle(), LAST_REQUEST_GRACE).unref()
  }

  private tellEmpty(): void {
    if (!this.draining || this.all.size > 0 || this.passedOn > 0) return
    const { emptied } = this
    this.emptied = null
    emptied?.()
  }

  closeIdle(): void {
    for (const session of this.all) if (session.idle) session.closeNow()
  }

  /** Are there any that may yet bring a request, or have one that will be answered? */
  get expectsRequests(): boolean {
    for (const session of this.all) if (session.lasting !== true) return true
    return false
  }

  keepNone(): void {
    for (const session of this.all) session.keepNone?.()
  }

  closeAll(): void {
    for (const session of this.all) {
      session.dismiss?.()
      if (session.cut === undefined) session.closeNow()
      else session.cut()
    }
  }

  /** Those that may be closed for want of room. */
  spare(): readonly Session[] {
    if (this.idling === 'never') return NO_SESSIONS
    const spare: Session[] = []
    for (const session of this.all) if (session.spareSince > 0) spare.push(session)
    return spare
  }

  holds(session: Session): boolean {
    return this.all.has(session)
  }

  /** Its place is free at once, though it is a while until the last is heard of it. */
  give(session: Session): void {
    this.all.delete(session)
    session.closeNow()
  }
}

const NO_SESSIONS: readonly Session[] = []
