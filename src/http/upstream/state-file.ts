// `state FILE`: where a group's servers are kept that the API adds, changes and takes away, one `server …;` a line. It is
// read with the configuration and written whenever they change.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import type { Site } from '../../config/directive.ts'
import { addressesOf, readServer } from '../../upstream/server.ts'
import type { Entry } from '../../upstream/shared-peers.ts'
import type { HttpSetup } from '../setup.ts'

const ENOENT = 2

/** A file that is not there yet has no servers in it. */
export function readState(path: string, unsupported: readonly string[], http: HttpSetup, at: Site): Entry[] {
  const { text, error, errno } = http.readData(path)
  if (error !== '') return errno === ENOENT ? [] : at.fail(`open() "${path}" failed (${errno}: ${error})`)
  return parseState(text, unsupported, (problem, line) => at.fail(`${problem} in ${path}:${line}`))
}

/** What is there by now; null: it cannot be read. */
export function stateNow(path: string, unsupported: readonly string[]): Entry[] | null {
  try {
    return parseState(readFileSync(Buffer.from(path, 'latin1').toString(), 'latin1'), unsupported, problem => {
      throw new Error(problem)
    })
  } catch {
    return null
  }
}

function parseState(
  text: string,
  unsupported: readonly string[],
  refuse: (problem: string, line: number) => never,
): Entry[] {
  const entries: Entry[] = []
  for (const [i, line] of text.split('\n').entries()) {
    const content = line.replace(/(?:^|\s)#.*/, '').trim()
    if (content === '') continue
    const refusal = { fail: (problem: string): never => refuse(problem, i + 1) }
    const words = /^server\s+([^;]+);$/.exec(content)?.[1]?.trim().split(/\s+/)
    if (words === undefined) return refusal.fail(`unexpected "${content}"`)
    const declaration = readServer(words, unsupported, refusal)
    entries.push({ declaration, names: declaration.resolve ? [] : addressesOf(declaration.url, refusal) })
  }
  return entries
}

/** Whole or not at all, where the folder is ours to write in; else into the file that is there.
 *  @returns '' or why it cannot be written */
export function writeState(path: string, lines: readonly string[]): string {
  const text = lines.map(line => `${line}\n`).join('')
  const file = Buffer.from(path, 'latin1').toString()
  const beside = join(dirname(file), `.${basename(file)}.${process.pid}.${threadId}`)
  try {
    writeFileSync(beside, text, 'latin1')
    renameSync(beside, file)
    return ''
  } catch {
    rmSync(beside, { force: true })
  }
  try {
    writeFileSync(file, text, 'latin1')
    return ''
  } catch (error) {
    return (error as Error).message
  }
}
