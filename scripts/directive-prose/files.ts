// Files as responses: which one it is, how it is opened and sent, its compressed twins, listings, and files that clients change.

import type { Texts, VariableTexts } from './prose.ts'

const PERMISSIONS = 'user:rw'

function twin(suffix: string, coding: string): string {
  return `Sends the file with \`${suffix}\` behind its name, if there is one, to clients that take ${coding}; \`always\`: to all. Both files should be equally old. With \`gzip_vary on\` caches are told that there are two forms.`
}

export const files: Texts = {
  index: {
    args: 'FILE …',
    standard: 'index.html',
    text: 'What a path that ends with `/` is answered with: the first of these files in the folder, as if it had been asked for. The last one may be a path of the server. Variables are allowed.',
  },
  random_index: {
    text: 'A path that ends with `/` is answered with any file of the folder but those with a leading dot.',
  },
  autoindex: {
    text: 'Lists a folder that has no index file; names with a leading dot are left out.',
  },
  autoindex_format: {
    text: 'What the list is: a page, or data. With `jsonp` it is a call of the function that the argument `callback` names.',
  },
  autoindex_localtime: { text: 'Whether times in the page are local ones, or UTC.' },
  autoindex_exact_size: { text: 'Whether sizes in the page are in bytes, or rounded to K, M and G.' },
  gzip_static: { text: twin('.gz', 'gzip') },
  brotli_static: { text: twin('.br', 'brotli') },
  zstd_static: { text: twin('.zst', 'zstd') },
  disable_symlinks: {
    args: ['off', 'on | if_not_owner [from=PATH]'],
    standard: 'off',
    text: 'Whether files behind symbolic links are refused with 403: no path may have any (`on`), or none that belongs to somebody else than what it leads to. The part of paths that `from` names is not looked at.',
  },
  open_file_cache: {
    args: ['max=NUMBER [inactive=TIME]', 'off'],
    standard: 'off',
    text: 'Remembers so many files in each thread, until they have not been asked for so long (60 s): that they are there, how big and old they are, small ones (up to 64 KB) with their content, which is then sent without asking the system, and compressed once.',
  },
  open_file_cache_valid: {
    text: 'How long what `open_file_cache` remembers is taken for true; then the file is looked at again.',
  },
  open_file_cache_min_uses: {
    text: 'How often a file must be asked for, within `inactive`, to be kept open.',
  },
  open_file_cache_errors: {
    text: 'Whether `open_file_cache` remembers, too, that a file is not there or cannot be read.',
  },
  log_not_found: { text: 'Whether files that are not there are noted in the error log.' },
  aio: {
    args: 'on | off | threads[=POOL]',
    standard: 'off',
    text: 'Big files are read by other threads, so that a slow disk does not hold up all clients of a thread. `on` is the same as `threads`; the threads are Node’s, whichever pool is named.',
  },
  etag: { text: 'Whether files have an `ETag`, made of their time and size.' },
  if_modified_since: {
    text: 'When a client that asks with a date gets 304: if it is the file’s date (`exact`), if the file is no younger (`before`), or never (`off`).',
  },
  max_ranges: {
    args: 'NUMBER',
    standard: '=no limit',
    text: 'How many ranges a request may ask for; with more it gets the whole. `0`: ranges are not served.',
  },
  sendfile_max_chunk: {
    text: 'How much the kernel may send of a file at a time (`sendfile`), so that one fast client does not hold up the others; `0`: as much as it takes.',
  },
  slice: {
    standard: '0',
    text: 'Asks the upstream for a big response in parts of that size, each of which is cached by itself; `0`: off. `$slice_range` must be passed on as `Range`, and be part of the cache’s key.',
  },
  dav_methods: {
    standard: 'off',
    text: 'Which methods of WebDAV clients may use to change files: `PUT`, `DELETE`, `MKCOL`, `COPY`, `MOVE`. A file that is put is received whole before it takes its name.',
  },
  create_full_put_path: { text: 'Whether `PUT` makes the folders that are missing.' },
  min_delete_depth: {
    text: 'How many parts a path must have for `DELETE`, lest a slip takes a whole tree.',
  },
  dav_access: {
    args: 'WHO:RIGHTS …',
    standard: PERMISSIONS,
    text: 'The permissions of what is made: `user`, `group` or `all`, with `r` or `rw`. Folders that may be read may be entered, too.',
  },
  empty_gif: { args: '', text: 'Answers with one transparent pixel.' },
}

export const fileVariables: VariableTexts = {
  slice_range: 'The part that is asked for, as a `Range` field has it: `bytes=0-1048575`.',
}
