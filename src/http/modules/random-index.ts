// random_index: a URI that ends with a slash is answered by any file of the folder (ngx_http_random_index_module).

import { LOCATION } from '../../config/directive.ts'
import { flag } from '../../config/values.ts'
import { filePath } from '../files/document-root.ts'
import { fileFinder } from '../files/files-conf.ts'
import { folderPath, readFolder } from '../files/folder.ts'
import { internalRedirect } from '../internal-redirect.ts'
import { httpModule, NEXT } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { LinkGuard } from '../files/symlinks.ts'

export const randomIndex = httpModule({
  name: 'random-index',
  directives: { random_index: flag(LOCATION, false) },
  compile(conf, at, http) {
    if (conf.random_index) at.step('content', choose, fileFinder(at, http).guard)
  },
})

const SLASH = 47

function choose(r: HttpRequest, guard: LinkGuard): number {
  const { method, uri } = r
  if (uri.charCodeAt(uri.length - 1) !== SLASH) return NEXT
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return NEXT
  const found = readFolder(r, folderPath(filePath(r)), guard)
  if (typeof found === 'number') return found
  const files = found.filter(entry => entry.kind === 'file')
  if (files.length === 0) return NEXT
  const { name } = files[Math.floor(Math.random() * files.length)]!
  return internalRedirect(r, uri + name, r.args)
}
