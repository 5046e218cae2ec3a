import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import { get } from '../../helpers/index.ts'

const file = { after }
const server: HttpServer = await serveHttp(
  file,
  `
  root html;
  location / { try_files $uri $uri.html $uri/ /show?from=$uri; }
  location /show { return 200 "$uri?$args"; }
  location /status { try_files $uri =418; }
  location /named { try_files $uri @named; }
  location @named { return 200 "named $uri"; }
  location /alias/ { alias html/sub/; try_files $uri $uri.txt =404; }
  location ~ ^/regex/(.*)$ { alias html/sub; try_files /$1 =404; }
  location /folder-is-no-file { try_files /sub =404; }
  location /file-is-no-folder { try_files /page.html/ =404; }
  location /circle { try_files nothing /circle; }
  location /outer { try_files $uri @named; location /outer/inner { } }
  `,
  '',
  { files: { 'html/page.html': 'page', 'html/sub/index.html': 'index', 'html/sub/a.txt': 'a' } },
)

async function answer(path: string): Promise<string> {
  const response = await get(server.port, path)
  return `${response.status} ${response.text}`
}

test('the first file or folder that is there is served', async () => {
  assert.equal(await answer('/page.html'), '200 page')
  assert.equal(await answer('/page'), '200 page')
  assert.equal(await answer('/sub/'), '200 index')
  assert.match(await answer('/sub'), /^301 /)
})

test('else another URI, with arguments of its own, a named location, or a status', async () => {
  assert.equal(await answer('/nothing?a=1'), '200 /show?from=/nothing')
  assert.equal(await answer('/named/x'), '200 named /named/x')
  assert.equal(await answer('/status'), '418 ')
})

test('under an alias the location’s part of the URI is not looked for', async () => {
  assert.equal(await answer('/alias/a.txt'), '200 a')
  assert.equal(await answer('/alias/a'), '200 a')
  assert.match(await answer('/alias/b'), /^404 /)
  assert.equal(await answer('/regex/a.txt'), '200 a')
})

test('files are no folders and folders no files', async () => {
  assert.match(await answer('/folder-is-no-file'), /^404 /)
  assert.match(await answer('/file-is-no-folder'), /^404 /)
})

test('going in circles ends with 500', async () => {
  assert.match(await answer('/circle'), /^500 /)
  assert.match(server.errorLog(), /rewrite or internal redirection cycle/)
})

test('an inner location does not inherit it', async () => {
  assert.match(await answer('/outer/inner'), /^404 /)
})
