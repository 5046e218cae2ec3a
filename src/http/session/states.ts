// What a client's connection is about (session.ts draws how it goes from one to the other).

import { GONE, READING, WAITING, WRITING } from '../../zone/connection-counts.ts'

export const IDLE = 0
export const HEAD = 1
export const ACTIVE = 2
export const LINGER = 3
export const TUNNEL = 4
export const CLOSED = 5
/** What each is to stub_status. */
export const COUNTED_AS = [WAITING, READING, WRITING, WRITING, WRITING, GONE]
