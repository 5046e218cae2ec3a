// What a thread reads from its sockets. One shape, written at each read: no object is made for it.

export const traffic = {
  /** Reads of all connections so far. */
  reads: 0,
}
