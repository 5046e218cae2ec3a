// From numbers that are whole and not negative to small integers, for millions of entries: two flat arrays with open
// addressing. A Map makes an object of every key beyond 31 bits, which costs ten times the memory and the time.

const FREE = -1
/** Its key stays, so that those that were put behind it are found. */
const GONE = -1

export class NumberMap {
  size = 0
  private used = 0
  private slots = new Float64Array(64).fill(FREE)
  private contents = new Int32Array(64)

  /** -1 for none. */
  get(key: number): number {
    const at = this.find(key)
    return this.slots[at] === FREE ? -1 : this.contents[at]!
  }

  /** @param value 0 or more */
  set(key: number, value: number): void {
    if (this.used * 2 >= this.slots.length) this.grow()
    const at = this.find(key)
    if (this.slots[at] === FREE) {
      this.slots[at] = key
      this.used++
      this.size++
    } else if (this.contents[at] === GONE) this.size++
    this.contents[at] = value
  }

  delete(key: number): boolean {
    const at = this.find(key)
    if (this.slots[at] === FREE || this.contents[at] === GONE) return false
    this.contents[at] = GONE
    this.size--
    return true
  }

  /** Ascending. */
  keys(): Float64Array {
    const keys = new Float64Array(this.size)
    let count = 0
    for (let at = 0; at < this.slots.length; at++) {
      if (this.slots[at] !== FREE && this.contents[at] !== GONE) keys[count++] = this.slots[at]!
    }
    return keys.sort()
  }

  clear(): void {
    this.size = 0
    this.used = 0
    this.slots = new Float64Array(64).fill(FREE)
    this.contents = new Int32Array(64)
  }

  /** Where the key is, or would be. */
  private find(key: number): number {
    const mask = this.slots.length - 1
    const low = (key % 0x1_0000_0000) | 0
    const high = Math.floor(key / 0x1_0000_0000)
    let at = (Math.imul(low ^ Math.imul(high, 0x27d4eb2f), 0x9e3779b1) >>> 7) & mask
    while (this.slots[at] !== key && this.slots[at] !== FREE) at = (at + 1) & mask
    return at
  }

  private grow(): void {
    const { slots, contents } = this
    this.slots = new Float64Array(slots.length * 2).fill(FREE)
    this.contents = new Int32Array(slots.length * 2)
    this.size = 0
    this.used = 0
    for (let at = 0; at < slots.length; at++) {
      if (slots[at] !== FREE && contents[at] !== GONE) this.set(slots[at]!, contents[at]!)
    }
  }
}
