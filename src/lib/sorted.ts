// The one look-up that all tables of addresses have in common.

/** Index of the last of ascending values that is not greater, -1 if all are. */
export function lastAtOrBefore<T extends number | string>(sorted: ArrayLike<T>, value: T): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! <= value) low = middle + 1
    else high = middle
  }
  return low - 1
}
