// try_files: the first of some files or folders that is there, else another URI, a named location or a status
// (ngx_http_try_files_module).

import { LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { CRIT } from '../../log/error-log.ts'
import { fileFinder } from '../files/files-conf.ts'
import { internalRedirect, namedLocation } from '../internal-redirect.ts'
import { httpModule, NEXT, type Value } from '../module.ts'
import { DIRECTORY, FAILED } from '../files/open-file.ts'
import type { FileFinder } from '../files/open-file-cache.ts'
import type { HttpRequest } from '../request.ts'
import { restWithin } from '../unsafe-uri.ts'

interface Try {
  readonly name: Template
  /** Written with a slash at its end: a folder is meant. */
  readonly isFolder: boolean
}

interface TryFilesDeclaration {
  readonly tries: readonly Try[]
  /** 0: `fallback` says where to. */
  readonly status: number
  readonly fallback: Template
}

const tryFiles: Directive<TryFilesDeclaration | null> = {
  in: SERVER | LOCATION,
  args: [2, Infinity],
  default: null,
  inheritedBy: 0,
  parse(args, at) {
    const last = args.at(-1)!
    const tries = args.slice(0, -1).map(word => {
      const isFolder = word.endsWith('/')
      return { name: Template.parse(isFolder ? word.slice(0, -1) : word, at), isFolder }
    })
    if (!last.startsWith('=')) return { tries, status: 0, fallback: Template.parse(last, at) }
    const status = Number(last.slice(1))
    if (!/^=\d+$/.test(last) || status > 999) at.fail(`invalid code "${last}"`)
    return { tries, status, fallback: Template.builtIn('') }
  },
}

const directives = { try_files: tryFiles }

export const tryFilesModule = httpModule({
  name: 'try-files',
  directives,
  compile(conf, at, http) {
    const declared = conf.try_files
    if (declared === null) return
    const own: TryFiles = {
      names: declared.tries.map(({ name }) => at.value(name)),
      folders: declared.tries.map(({ isFolder }) => isFolder),
      status: declared.status,
      fallback: at.value(declared.fallback),
      files: fileFinder(at, http),
    }
    at.step('precontent', tryEach, own, { runs: true, describe: lookAtEach })
  },
})

interface TryFiles {
  readonly names: readonly Value[]
  readonly folders: readonly boolean[]
  readonly status: number
  readonly fallback: Value
  readonly files: FileFinder
}

function tryEach(r: HttpRequest, conf: TryFiles): number {
  const root = r.location.root.get(r)
  const { names, folders } = conf
  for (let i = 0; i < names.length; i++) {
    const name = withoutLocation(r, names[i]!)
    const file = conf.files.look(root + name, r)
    if (file.kind === FAILED) {
      const { code } = file
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ENAMETOOLONG') r.log(CRIT, file.failure)
    } else if ((file.kind === DIRECTORY) === folders[i]!) {
      takeName(r, name, folders[i]!)
      return NEXT
    }
  }
  return conf.status > 0 ? conf.status : goElsewhere(r, withoutLocation(r, conf.fallback))
}

/** What is asked for in turn, up to what is there (`portico explain`). */
function lookAtEach(r: HttpRequest, { names, folders, files, fallback, status }: TryFiles): string[] {
  const root = r.location.root.get(r)
  const lines: string[] = []
  for (let i = 0; i < names.length; i++) {
    const path = root + withoutLocation(r, names[i]!)
    const { kind } = files.look(path, r)
    const found = kind !== FAILED && (kind === DIRECTORY) === folders[i]!
    lines.push(`${folders[i]! ? 'folder' : 'file'} "${path}": ${found ? 'there' : 'not there'}`)
    if (found) return lines
  }
  return [...lines, status > 0 ? `none: ${status}` : `none: goes to "${withoutLocation(r, fallback)}"`]
}

/** Under an alias, names made of the URI lose the location's part of it. */
function withoutLocation(r: HttpRequest, value: Value): string {
  const { constant } = value
  if (constant !== null) return constant
  const name = value.get(r)
  const { aliasLength } = r.location
  if (aliasLength <= 0 || aliasLength === Number.MAX_SAFE_INTEGER) return name
  if (!name.startsWith(r.uri.slice(0, aliasLength))) return name
  const rest = name.slice(aliasLength)
  return rest.startsWith('.') ? restWithin(r.location.root.get(r), rest) : rest
}

/** The URI becomes the name of what was found. */
function takeName(r: HttpRequest, name: string, isFolder: boolean): void {
  const { aliasLength } = r.location
  if (aliasLength === Number.MAX_SAFE_INTEGER) {
    if (isFolder) return
    r.aliasTakesUri = true
  }
  const kept = aliasLength > 0 && aliasLength !== Number.MAX_SAFE_INTEGER ? r.uri.slice(0, aliasLength) : ''
  r.uri = kept + name
  r.uriIsRaw = false
}

function goElsewhere(r: HttpRequest, to: string): number {
  if (to.startsWith('@')) return namedLocation(r, to)
  const cut = to.indexOf('?')
  return cut === -1 ? internalRedirect(r, to, '', true) : internalRedirect(r, to.slice(0, cut), to.slice(cut + 1), true)
}
