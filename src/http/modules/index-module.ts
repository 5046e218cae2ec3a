// index: a URI that ends with a slash is answered by the first of some files that the folder has, as if the client had
// asked for that file (ngx_http_index_module).

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { ALERT, CRIT, ERR } from '../../log/error-log.ts'
import { filePath } from '../files/document-root.ts'
import { fileDirectives, fileFinder } from '../files/files-conf.ts'
import { internalRedirect } from '../internal-redirect.ts'
import { httpModule, NEXT, type Value } from '../module.ts'
import { RUNS } from '../notes.ts'
import { DIRECTORY, FAILED, type OpenFile } from '../files/open-file.ts'
import type { FileFinder } from '../files/open-file-cache.ts'
import type { HttpRequest } from '../request.ts'

/** Repeated directives of one block make one list. */
const index: Directive<readonly Template[]> = {
  in: HTTP | SERVER | LOCATION,
  args: [1, Infinity],
  default: [Template.builtIn('index.html')],
  repeatable: true,
  parse(names, at, soFar = []) {
    names.forEach((name, i) => {
      if (name === '') at.fail(`index "${name}" in "index" directive is invalid`)
      if (name.startsWith('/') && i < names.length - 1) {
        at.warn('only the last index in "index" directive should be absolute')
      }
    })
    return Object.freeze([...soFar, ...names.map(name => Template.parse(name, at))])
  },
}

interface IndexConf {
  readonly names: readonly Value[]
  readonly files: FileFinder
  readonly logNotFound: boolean
}

export const indexModule = httpModule({
  name: 'index-module',
  directives: { index },
  compile(conf, at, http) {
    const own: IndexConf = {
      names: conf.index.map(name => at.value(name)),
      files: fileFinder(at, http),
      logNotFound: at.scope.conf(fileDirectives).log_not_found,
    }
    at.step('content', findIndex, own, RUNS)
  },
})

const SLASH = 47

function findIndex(r: HttpRequest, conf: IndexConf): number {
  const { method, uri } = r
  if (uri.charCodeAt(uri.length - 1) !== SLASH) return NEXT
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return NEXT
  const { names } = conf
  let folder = ''
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!.constant ?? names[i]!.get(r)
    if (name.charCodeAt(0) === SLASH) return internalRedirect(r, name, r.args)
    if (folder === '') folder = filePath(r)
    const file = conf.files.look(folder + name, r)
    if (file.kind !== FAILED) return internalRedirect(r, uri + name, r.args)
    const answer = weighFailure(r, conf, file, i === 0 ? folder : '')
    if (answer !== NEXT) return answer
  }
  return NEXT
}

/** NEXT: only this file is missing. `folder`: to be looked at, '' when it has been. */
function weighFailure(r: HttpRequest, conf: IndexConf, file: OpenFile, folder: string): number {
  const { code } = file
  if (code === 'ELOOP' || code === 'EMLINK') return 403
  if (code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'EACCES') return refuse(r, conf, file, file.path)
  if (folder !== '') {
    const answer = testFolder(r, conf, folder, file.path)
    if (answer !== NEXT) return answer
  }
  if (code === 'ENOENT') return NEXT
  r.log(CRIT, file.failure)
  return 500
}

/** A file may be missing because the folder is. */
function testFolder(r: HttpRequest, conf: IndexConf, folder: string, path: string): number {
  // An alias need not end with a slash.
  const found = conf.files.look(folder.length > 1 && folder.endsWith('/') ? folder.slice(0, -1) : folder, r)
  if (found.kind === DIRECTORY) return NEXT
  if (found.kind !== FAILED) {
    r.log(ALERT, `"${found.path}" is not a directory`)
    return 500
  }
  if (found.code === 'ENOENT') return refuse(r, conf, found, path)
  // One may be allowed to enter a folder and not to look at it.
  if (found.code === 'EACCES') return NEXT
  r.log(CRIT, found.failure)
  return 500
}

function refuse(r: HttpRequest, conf: IndexConf, failed: OpenFile, path: string): number {
  const why = failed.failure.slice(failed.failure.lastIndexOf('('))
  if (failed.code === 'EACCES') {
    r.log(ERR, `"${path}" is forbidden ${why}`)
    return 403
  }
  if (conf.logNotFound) r.log(ERR, `"${path}" is not found ${why}`)
  return 404
}
