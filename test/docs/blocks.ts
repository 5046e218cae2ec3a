// The pages of the manual and what is in them: links, headings, and blocks of code that must be true.

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Page {
  /** From the root of the checkout. */
  readonly path: string
  readonly text: string
}

export interface Block {
  readonly language: string
  readonly text: string
  /** For messages: `docs/guides/node.md:12`. */
  readonly place: string
}

export function pagesOf(pattern: string): Page[] {
  return globSync(pattern, { cwd: root })
    .sort()
    .map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

export function blocksOf({ path, text }: Page): Block[] {
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(match => ({
    language: match[1]!,
    text: match[2]!,
    place: `${path}:${text.slice(0, match.index).split('\n').length}`,
  }))
}

/** Targets of links, outside of code. */
export function linksOf({ text }: Page): string[] {
  const prose = text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, '``')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1]!)
}

/** What `#…` may point at. */
export function anchorsOf({ text }: Page): Set<string> {
  const prose = text.replaceAll(/^```.*?^```$/gms, '')
  return new Set(
    [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    ),
  )
}

/** Commands of a shell block: lines joined where they end in a backslash, without comments and prompts. */
export function commandsOf({ text }: Block): string[] {
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map(line =>
      line
        .replace(/^\$ /, '')
        .replace(/(?:^|\s+)#.*$/, '')
        .trim(),
    )
    .filter(line => line !== '')
}
