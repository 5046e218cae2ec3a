// Which known name a misspelt one was meant to be.

/** The name fewest edits away, if that is few for its length. */
export function closest(misspelt: string, names: Iterable<string>): string | null {
  let best: string | null = null
  let fewest = Math.min(4, Math.floor(misspelt.length / 3) + 1)
  for (const name of names) {
    if (Math.abs(name.length - misspelt.length) >= fewest) continue
    const edits = distance(misspelt, name)
    if (edits < fewest) {
      fewest = edits
      best = name
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one into the other. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, above[j]! + 1, row[j - 1]! + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = above
    above = row
  }
  return above[b.length]!
}
