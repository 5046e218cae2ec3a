// Links within the documentation lead somewhere, to the heading they name.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { anchorsOf, linksOf, pagesOf, root } from './blocks.ts'
import type { Page } from './blocks.ts'

const pages = [...pagesOf('*.md'), ...pagesOf('docs/**/*.md')]

test('docs: links and headings are found, and code is not mistaken for them', () => {
  const page = { path: 'a.md', text: '# One `two`: three\n[x](b.md#c) `[y](no)`\n```sh\n# no\n[z](no)\n```\n' }
  assert.deepEqual(linksOf(page), ['b.md#c'])
  assert.deepEqual([...anchorsOf(page)], ['one-two-three'])
})

test('docs: every link leads to a file that exists, and to a heading of it', () => {
  const dead = pages.flatMap(page => linksOf(page).flatMap(link => deadLink(page, link)))
  assert.deepEqual(dead, [])
})

test('docs: every file of the checkout that a page names exists', () => {
  const named = /(?<![\w./-])(?:src|test|bench|scripts|examples|python|conf)\/[\w./-]*\.\w+/g
  const ofSource =
    /(?<=`)(?:app|cli|codec|config|control|http|lib|net|process|stream|upstream|zone)\/[\w./-]*\.ts(?=`)/g
  const gone = pages
    .filter(({ path }) => path !== 'CHANGELOG.md')
    .flatMap(({ path, text }) => {
      const files = [...(text.match(named) ?? []), ...(text.match(ofSource) ?? []).map(file => `src/${file}`)]
      return files.map(file => ({ path, file }))
    })
    .filter(({ file }) => !existsSync(join(root, file)))
  assert.deepEqual(gone, [])
})

function deadLink(page: Page, link: string): string[] {
  if (/^[a-z]+:/.test(link)) return []
  const [file, anchor] = link.split('#') as [string, string?]
  const path = file === '' ? page.path : join(dirname(page.path), decodeURI(file))
  if (!existsSync(join(root, path))) return [`${page.path}: "${link}" leads to no file`]
  if (anchor === undefined) return []
  const target = pages.find(other => other.path === path)
  return target !== undefined && anchorsOf(target).has(anchor) ? [] : [`${page.path}: "${link}" leads to no heading`]
}
