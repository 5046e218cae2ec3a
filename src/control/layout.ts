// How answers of the control interface are laid out for people: tables, pairs, and what to make of a server's words.

export type Data = Readonly<Record<string, unknown>>

/** Columns that no row has anything in are left out. */
export function table(all: readonly Data[], columns: readonly string[]): string {
  if (all.length === 0) return '(none)'
  const present = columns.filter(name => all.some(row => (row[name] ?? null) !== null))
  const lines = [present.map(name => name.toUpperCase()), ...all.map(row => present.map(name => text(row[name])))]
  const widths = present.map((_, i) => Math.max(...lines.map(line => line[i]!.length)))
  return lines
    .map(line =>
      line
        .map((cell, i) => cell.padEnd(widths[i]! + 2))
        .join('')
        .trimEnd(),
    )
    .join('\n')
}

export function pairs(entries: readonly (readonly [string, unknown])[]): string {
  const width = Math.max(0, ...entries.map(([name]) => name.length))
  return entries.map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${text(value)}`).join('\n')
}

export function text(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  const shown = Array.isArray(value)
    ? value.map(text).join(', ')
    : typeof value === 'object'
      ? JSON.stringify(value)
      : `${value as string | number}`
  // What comes from a server does not steer the terminal.
  return shown.replaceAll(/[\p{Cc}]/gu, '?')
}

export function indented(lines: string): string {
  return lines.replaceAll(/^(?=.)/gm, '  ')
}

export function rows(data: Data, name: string): Data[] {
  const value = data[name]
  return Array.isArray(value) ? value.filter(one => typeof one === 'object' && one !== null) : []
}

export function within(data: Data, name: string): Data {
  const value = data[name]
  return typeof value === 'object' && value !== null ? (value as Data) : {}
}

/** `1h 2m 3s` */
export function duration(seconds: number): string {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60]
  return `${h > 0 ? `${h}h ` : ''}${h + m > 0 ? `${m}m ` : ''}${s}s`
}
