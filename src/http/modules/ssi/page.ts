// What the SSI commands of a client's request, its own page and all that it includes, have in common: variables, captures,
// named blocks. All of it is bounded: a page cannot make more of it than this.

import { LocationSlot, Slot } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
import { mainOf } from '../../subrequest.ts'
import { DEFAULT_FORMAT } from './date.ts'

const VARIABLES_MAX = 4096
const BLOCKS_MAX = 1024
/** All blocks together. */
const BLOCK_TEXT_MAX = 1024 * 1024

export class SsiPage {
  /** Of the last regular expression that matched. */
  captures: readonly (string | undefined)[] = []
  private readonly variables = new Map<string, string>()
  private readonly blocks: { readonly name: string; text: string }[] = []
  private blockText = 0

  /** undefined: SSI knows no such variable; there may be one of the server's. */
  get(name: string): string | undefined {
    if (name.length === 1 && name >= '0' && name <= '9') {
      const number = Number(name)
      if (number < this.captures.length) return this.captures[number] ?? ''
    }
    return this.variables.get(name)
  }

  set(name: string, value: string): boolean {
    if (this.variables.size >= VARIABLES_MAX && !this.variables.has(name)) return false
    this.variables.set(name, value)
    return true
  }

  openBlock(name: string): boolean {
    if (this.blocks.length >= BLOCKS_MAX) return false
    this.blocks.push({ name, text: '' })
    return true
  }

  /** Adds to the block that was opened last. */
  addToBlock(text: string): void {
    this.blockText += text.length
    if (this.blockText <= BLOCK_TEXT_MAX) this.blocks.at(-1)!.text += text
  }

  /** The first block of that name. */
  block(name: string): string | null {
    return this.blocks.find(block => block.name === name)?.text ?? null
  }
}

const pages = new Slot<SsiPage>()

export function pageOf(r: HttpRequest): SsiPage {
  const main = mainOf(r)
  let page = pages.get(main)
  if (page === null) {
    page = new SsiPage()
    pages.set(main, page)
  }
  return page
}

const formats = new Slot<string>()

/** How this request shows dates (`config timefmt`). */
export function dateFormat(r: HttpRequest): string {
  return formats.get(r) ?? DEFAULT_FORMAT
}

export function setDateFormat(r: HttpRequest, format: string): void {
  formats.set(r, format)
}

/** subrequest_output_buffer_size where it is not the default. */
export const bufferSizes = new LocationSlot<number>()
export const BUFFER_SIZE = 4096
