// `--reload`: a worker looks at the files of what it has loaded a few times a second and says which one has changed; the master
// then starts a new generation. An application that cannot be loaded is replaced by a page that shows why, until a file changes.

import { globSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Listener } from './plain-handler.ts'

const INTERVAL_MS = 250
/** Files looked at below the application's folder while it cannot be loaded. */
const SEARCHED_MAX = 5000
const CODE = '**/*.{js,mjs,cjs,ts,mts,cts,json}'

export interface WatchOptions {
  readonly folder: string
  /** Further files, or patterns. */
  readonly files: readonly string[]
  readonly changed: (file: string) => void
}

export class Watch {
  /** What was loaded last: where a file cannot be parsed, that one. */
  last = ''
  private readonly options: WatchOptions
  /** What each file was like when it was seen first. */
  private readonly known = new Map<string, string>()
  private searching = false
  private told = false

  /** Everything that is loaded from now on is looked at, but for packages. */
  constructor(options: WatchOptions) {
    this.options = options
    registerHooks({
      load: (url, context, next) => {
        if (url.startsWith('file:') && !url.includes('/node_modules/')) this.note(fileURLToPath(url))
        return next(url, context)
      },
    })
    for (const file of this.further()) this.known.set(file, markOf(file))
    setInterval(() => this.look(), INTERVAL_MS).unref()
  }

  /** Nothing could be loaded: whatever changes or appears in the folder may mend it. */
  search(): void {
    for (const file of this.found()) if (!this.known.has(file)) this.known.set(file, markOf(file))
    this.searching = true
  }

  private note(file: string): void {
    this.last = file
    if (!this.known.has(file)) this.known.set(file, markOf(file))
  }

  private look(): void {
    if (this.told) return
    for (const file of this.further()) if (!this.known.has(file)) return this.tell(file)
    if (this.searching) for (const file of this.found()) if (!this.known.has(file)) return this.tell(file)
    for (const [file, mark] of this.known) {
      const now = markOf(file)
      // One that is gone for the moment: editors write a new file in its place.
      if (now !== '' && now !== mark) return this.tell(file)
    }
  }

  private tell(file: string): void {
    this.told = true
    this.options.changed(file)
  }

  private further(): string[] {
    const { files, folder } = this.options
    return files.flatMap(file =>
      /[*?[]/.test(file) ? globSync(file, { cwd: folder }).map(name => resolve(folder, name)) : resolve(folder, file),
    )
  }

  private found(): string[] {
    const { folder } = this.options
    const names = globSync(CODE, { cwd: folder, exclude: name => name === 'node_modules' || name.startsWith('.') })
    return names.slice(0, SEARCHED_MAX).map(name => join(folder, name))
  }
}

/** '' where it is not there. */
function markOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false })
  return found === undefined ? '' : `${found.mtimeMs} ${found.size}`
}

/** Shows what is wrong with the application that should be here. */
export function explaining(error: string, details: string): Listener {
  const page = `<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>${escaped(error)}</title></head>
<body><h1>The application cannot be loaded</h1>
<p>${escaped(error)}</p>
<pre>${escaped(details)}</pre>
<p>It is loaded again as soon as a file has changed.</p></body></html>
`
  return (_request, response) => {
    response.writeHead(500, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' }).end(page)
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
