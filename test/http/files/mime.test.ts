import assert from 'node:assert/strict'
import test from 'node:test'
import { contentType, uriExtension } from '../../../src/http/files/mime.ts'
import type { HttpRequest } from '../../../src/http/request.ts'

test('the extension is behind the last dot of the last segment', () => {
  const cases = {
    '/a.html': 'html',
    '/a.b.c': 'c',
    '/a.b/c': '',
    '/.profile': '',
    '/d/.x': '',
    '/a': '',
    '/': '',
    '/a.': '',
  }
  for (const [uri, extension] of Object.entries(cases)) assert.equal(uriExtension(uri), extension, uri)
})

test('types compare without case; what is unknown has default_type', () => {
  const location = { types: new Map([['html', 'text/html']]), defaultType: 'text/plain' }
  const type = (uri: string, contentTypeSet = ''): string =>
    contentType({ uri, location, contentType: contentTypeSet } as unknown as HttpRequest)
  assert.equal(type('/a.html'), 'text/html')
  assert.equal(type('/a.HTML'), 'text/html')
  assert.equal(type('/a.xyz'), 'text/plain')
  assert.equal(type('/a.html', 'text/x-own'), 'text/x-own', 'who sent the client here has the say')
})
