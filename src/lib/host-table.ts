// Host names and their wildcards → values, found in the order nginx prescribes (ngx_hash_find_combined): the exact name,
// the longest wildcard at the front (`*.example.org`, `.example.org`), the longest one at the end (`www.example.*`).

export class HostTable<T> {
  private readonly exact = new Map<string, T>()
  /** By what follows the star, its dot included. */
  private readonly heads = new Map<string, T>()
  /** By what precedes the star, its dot included. */
  private readonly tails = new Map<string, T>()

  get size(): number {
    return this.exact.size + this.heads.size + this.tails.size
  }

  /** @returns false: that name is there already */
  addExact(name: string, value: T): boolean {
    return add(this.exact, name.toLowerCase(), value)
  }

  /** A name, with or without wildcard. @returns null when it is added, else what is wrong with it, as nginx puts it */
  add(pattern: string, value: T): string | null {
    const name = pattern.toLowerCase()
    const wrong = /\*.*\*|\.\.|\0/s.test(name) || (name.includes('*') && !/^\*\.[^*]|[^*]\.\*$/s.test(name))
    if (wrong || name === '*.' || name === '.*' || name === '.') return `invalid hostname or wildcard "${pattern}"`
    return this.put(name, value) ? null : `conflicting parameter "${pattern}"`
  }

  private put(name: string, value: T): boolean {
    if (name.startsWith('*.')) return add(this.heads, name.slice(1), value)
    if (name.endsWith('.*')) return add(this.tails, name.slice(0, -1), value)
    if (name.startsWith('.')) return add(this.exact, name.slice(1), value) && add(this.heads, name, value)
    return add(this.exact, name, value)
  }

  /** For a lower-case name. */
  find(name: string): T | undefined {
    const found = this.exact.get(name)
    if (found !== undefined) return found
    if (this.heads.size > 0) {
      for (let dot = name.indexOf('.', 1); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        const value = this.heads.get(name.slice(dot))
        if (value !== undefined) return value
      }
    }
    if (this.tails.size > 0) {
      for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
        const value = this.tails.get(name.slice(0, dot + 1))
        if (value !== undefined) return value
      }
    }
    return undefined
  }
}

function add<T>(map: Map<string, T>, key: string, value: T): boolean {
  if (map.has(key)) return false
  map.set(key, value)
  return true
}
