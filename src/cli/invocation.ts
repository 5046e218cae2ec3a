// Where a configuration is and what surrounds it, as the switches say. Paths are latin1 strings.

import type { Switches } from './switches.ts'

/** JSON-able. */
export interface Invocation {
  /** What relative paths are relative to, with its final slash. */
  readonly prefix: string
  readonly file: string
  /** `-g`. */
  readonly directives: string
  /** `-e`; null: standard error. */
  readonly errorLog: string | null
}

/** Without `-p`, the current folder is the prefix. */
export function invocationOf({
  prefix,
  file,
  directives,
  errorLog,
}: Pick<Switches, 'prefix' | 'file' | 'directives' | 'errorLog'>): Invocation {
  const folder = withSlash(prefix ?? Buffer.from(process.cwd()).toString('latin1'))
  const within = (path: string): string => (path.startsWith('/') ? path : folder + path)
  return {
    prefix: folder,
    file: within(file ?? 'conf/nginx.conf'),
    directives,
    errorLog: errorLog === 'stderr' ? null : within(errorLog ?? 'logs/error.log'),
  }
}

function withSlash(path: string): string {
  return path === '' || path.endsWith('/') ? path : `${path}/`
}
