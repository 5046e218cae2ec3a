// A line of words as Python's shlex splits it, almost as a POSIX shell would, without any expansion: how GUNICORN_CMD_ARGS is written.

import { UsageError } from './setting.ts'

/** Throws UsageError where a quote is not closed. */
export function splitWords(line: string): string[] {
  const words: string[] = []
  const piece = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|(.)/gsy
  let word: string | null = null
  for (const [whole, single, double, escaped, bare, rest] of line.matchAll(piece)) {
    if (rest !== undefined) throw new UsageError(`GUNICORN_CMD_ARGS: ${rest} is not closed`)
    const text = single ?? double?.replaceAll(/\\(["\\])/g, '$1') ?? escaped ?? bare
    if (text !== undefined) word = (word ?? '') + text
    else if (word !== null && whole !== '') {
      words.push(word)
      word = null
    }
  }
  if (word !== null) words.push(word)
  return words
}
