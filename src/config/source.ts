// Where configuration text comes from: the file system, or a bundle of what another process read from it.
// Text and paths are latin1 strings, one character per byte.

import { readFileSync } from 'node:fs'
import { getSystemErrorMap } from 'node:util'
import { glob } from './glob.ts'
import { ConfigError } from './errors.ts'

export interface Source {
  /** Throws ConfigError, in nginx's words and without a place, if the file cannot be read. */
  read(path: string): string
  /** The existing paths that match, sorted; none is no error. */
  glob(pattern: string): string[]
}

/** All that parsing the configuration again needs; plain data, to be sent to a process that may not read the files. */
export interface Bundle {
  readonly files: readonly (readonly [path: string, text: string])[]
  readonly globs: readonly (readonly [pattern: string, paths: readonly string[]])[]
}

/** Reads files, each once, and remembers them in order of first use. */
export class FileSource implements Source {
  private readonly files = new Map<string, string>()
  private readonly globs = new Map<string, string[]>()

  read(path: string): string {
    let text = this.files.get(path)
    if (text === undefined) {
      text = readText(path)
      this.files.set(path, text)
    }
    return text
  }

  glob(pattern: string): string[] {
    let paths = this.globs.get(pattern)
    if (paths === undefined) {
      paths = glob(pattern)
      this.globs.set(pattern, paths)
    }
    return paths
  }

  bundle(): Bundle {
    return { files: [...this.files], globs: [...this.globs] }
  }
}

export class BundleSource implements Source {
  private readonly files: ReadonlyMap<string, string>
  private readonly globs: ReadonlyMap<string, readonly string[]>

  constructor(bundle: Bundle) {
    this.files = new Map(bundle.files)
    this.globs = new Map(bundle.globs)
  }

  read(path: string): string {
    return this.files.get(path) ?? failOpen(path, 'ENOENT', -2)
  }

  glob(pattern: string): string[] {
    return [...(this.globs.get(pattern) ?? [])]
  }
}

function readText(path: string): string {
  try {
    return readFileSync(Buffer.from(path, 'latin1'), 'latin1')
  } catch (error) {
    if (path.includes('\0')) return failOpen(path, 'ENOENT', -2)
    const { code = '', errno = 0 } = error as NodeJS.ErrnoException
    return failOpen(path, code, errno)
  }
}

function failOpen(path: string, code: string, errno: number): never {
  // A folder can be opened, and only then not be read.
  const call = code === 'EISDIR' ? 'pread()' : 'open()'
  const reason = errorTexts[code] ?? getSystemErrorMap().get(errno)?.[1] ?? code
  throw new ConfigError(`${call} "${path}" failed (${-errno}: ${reason})`)
}

/** The C library's texts, which nginx prints, for what happens when files are opened; Node's differ in case and words. */
const errorTexts: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  ENAMETOOLONG: 'File name too long',
  EMFILE: 'Too many open files',
  ENFILE: 'Too many open files in system',
  EIO: 'Input/output error',
}
