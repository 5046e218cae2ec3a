// Numbers beyond 32 bits in shared memory, each in two words: the low one, and a high one that counts how often the low one
// was full. Whoever adds sees to the carry, so that no lock is needed; a reader may be off while a carry is under way.

const TWO_32 = 2 ** 32

/** @param amount 0 to 2^32 - 1 */
export function addWide(words: Int32Array, at: number, amount: number): void {
  const before = Atomics.add(words, at, amount | 0) >>> 0
  if (before + amount >= TWO_32) Atomics.add(words, at + 1, 1)
}

export function readWide(words: Int32Array, at: number): number {
  return Atomics.load(words, at + 1) * TWO_32 + (Atomics.load(words, at) >>> 0)
}

export function setWide(words: Int32Array, at: number, value: number): void {
  Atomics.store(words, at, value | 0)
  Atomics.store(words, at + 1, Math.floor(value / TWO_32))
}
