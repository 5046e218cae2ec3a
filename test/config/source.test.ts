import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { parseConfig, parseText } from '../../src/config/parse.ts'
import { dump, print } from '../../src/config/print.ts'
import { BundleSource, FileSource } from '../../src/config/source.ts'
import type { Bundle } from '../../src/config/source.ts'

function withFolder(files: Readonly<Record<string, string>>, run: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, name, '..'), { recursive: true })
      writeFileSync(Buffer.from(join(folder, name), 'latin1'), text, 'latin1')
    }
    run(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const tree = {
  'nginx.conf': 'include conf.d/*.conf;\nhttp { include "conf.d/b.conf"; include none/*; }\n# \xc3\xa4 end',
  'conf.d/b.conf': 'b;',
  'conf.d/a.conf': 'a "\xc3\xa4";',
  'conf.d/.hidden.conf': 'hidden;',
  'conf.d/c.conf.bak': 'bak;',
}

void test('includes are read in sorted order, each file is remembered once, byte for byte', () => {
  withFolder(tree, folder => {
    const source = new FileSource()
    const { statements, errors } = parseConfig(source, `${folder}/nginx.conf`)
    assert.deepEqual(errors, [])
    assert.equal(print(statements), 'a "\xc3\xa4";\nb;\n\nhttp {\n    b;\n}\n')
    const dumped = ['nginx.conf', 'conf.d/a.conf', 'conf.d/b.conf'] as const
    assert.equal(
      dump(source.bundle()),
      dumped.map(name => `# configuration file ${folder}/${name}:\n${tree[name]}\n`).join(''),
    )
  })
})

void test('a bundle gives the same statements where the files are gone', () => {
  let bundle: Bundle = { files: [], globs: [] }
  let path = ''
  let before: unknown = null
  withFolder(tree, folder => {
    const source = new FileSource()
    path = `${folder}/nginx.conf`
    before = parseConfig(source, path)
    bundle = JSON.parse(JSON.stringify(source.bundle())) as Bundle
  })
  assert.deepEqual(parseConfig(new BundleSource(bundle), path), before)
})

void test('a file that cannot be opened is refused in the words of the C library', () => {
  withFolder(tree, folder => {
    const problem = (path: string) => String(parseConfig(new FileSource(), path).errors[0])
    assert.equal(problem(`${folder}/no`), `open() "${folder}/no" failed (2: No such file or directory)`)
    assert.equal(problem(`${folder}/nginx.conf/x`), `open() "${folder}/nginx.conf/x" failed (20: Not a directory)`)
    assert.equal(problem(`${folder}/conf.d`), `pread() "${folder}/conf.d" failed (21: Is a directory)`)
    assert.match(problem(`${folder}/a\0b`), /No such file or directory/)
    const long = 'a'.repeat(300)
    assert.match(problem(`${folder}/${long}`), /failed \(36: File name too long\)$/)
  })
})

void test('patterns match as the shell has them', () => {
  const names = ['a.conf', 'b.conf', 'B.conf', '[x].conf', '.h.conf', 'd/one', 'd/two', 'e/one', 'z\xe4', '-']
  withFolder(Object.fromEntries(names.map(name => [name, ''])), folder => {
    const found = (pattern: string) =>
      new FileSource().glob(`${folder}/${pattern}`).map(path => path.slice(folder.length + 1))
    assert.deepEqual(found('*.conf'), ['B.conf', '[x].conf', 'a.conf', 'b.conf'])
    assert.deepEqual(found('.*.conf'), ['.h.conf'])
    assert.deepEqual(found('?.conf'), ['B.conf', 'a.conf', 'b.conf'])
    assert.deepEqual(found('[ab].conf'), ['a.conf', 'b.conf'])
    assert.deepEqual(found('[!a-z].conf'), ['B.conf'])
    assert.deepEqual(found('[^A-Z].conf'), ['a.conf', 'b.conf'])
    assert.deepEqual(found('\\[x].c*'), ['[x].conf'])
    assert.deepEqual(found('[[]x[]].conf'), ['[x].conf'])
    assert.deepEqual(found('[a.conf*'), [])
    assert.deepEqual(found('[z-a]*'), [])
    assert.deepEqual(found('[]-]'), ['-'])
    assert.deepEqual(found('*/one'), ['d/one', 'e/one'])
    assert.deepEqual(found('*/t*'), ['d/two'])
    assert.deepEqual(found('a.conf/*'), [])
    assert.deepEqual(found('z[\xe0-\xef]'), ['z\xe4'])
  })
})

void test('directives of the command line come first and are told apart', () => {
  const source = new BundleSource({
    files: [
      ['/c/nginx.conf', 'b;'],
      ['/c/x', 'x;'],
    ],
    globs: [],
  })
  const parse = (commandLine: string) => parseConfig(source, '/c/nginx.conf', commandLine)
  assert.equal(print(parse('a 1; include x;').statements), 'a 1;\nx;\nb;\n')
  assert.equal(String(parse('a').errors[0]), 'unexpected end of parameter, expecting ";" in command line')
  assert.equal(String(parse('a {}').errors[0]), 'block directives are not supported in -g option in command line')
  assert.equal(String(parse('}').errors[0]), 'unexpected "}" in command line')
  assert.equal(
    String(parse('include no;').errors[0]),
    'open() "/c/no" failed (2: No such file or directory) in command line',
  )
})

void test('blocks and includes are followed to a bounded depth', () => {
  const deep = parseText('a { '.repeat(100_000), '/c/x', new BundleSource({ files: [], globs: [] }))
  assert.equal(String(deep.errors[0]), 'more than 256 nested blocks in /c/x:1')
  const circle = new BundleSource({ files: [['/c/x', 'include x; include x;']], globs: [] })
  assert.deepEqual(parseConfig(circle, '/c/x').errors.map(String), ['more than 64 nested includes in /c/x:1'])
})
