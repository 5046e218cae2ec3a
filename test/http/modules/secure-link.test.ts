import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test, { after } from 'node:test'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import { get } from '../../helpers/index.ts'

const file = { after }
const server: HttpServer = await serveHttp(
  file,
  `
  location /link { secure_link $arg_md5,$arg_expires; secure_link_md5 "secret$uri$arg_expires"; return 200 "<$secure_link|$secure_link_expires>"; }
  location /plain { secure_link $arg_md5; secure_link_md5 "secret$uri"; return 200 "<$secure_link>"; }
  location /old/ { secure_link_secret word; return 200 "<$secure_link>"; }
  location /none { return 200 "<$secure_link>"; }
  `,
)

const digest = (text: string): string => createHash('md5').update(text).digest('base64url')
const ask = async (path: string): Promise<string> => (await get(server.port, path)).text

test('a link with the right digest is good until it expires', async () => {
  const now = Math.floor(Date.now() / 1000)
  const link = (expires: number | string): string => `/link?md5=${digest(`secret/link${expires}`)}&expires=${expires}`
  assert.equal(await ask(link(now + 100)), `<1|${now + 100}>`)
  assert.equal(await ask(link(now - 100)), `<0|${now - 100}>`)
  assert.equal(await ask(link('soon')), '<|>')
  assert.equal(await ask(link(now + 100).replace('expires=', 'expires=9')), `<|9${now + 100}>`)
})

test('a link without expiry is good or not', async () => {
  assert.equal(await ask(`/plain?md5=${digest('secret/plain')}`), '<1>')
  for (const padding of ['=', '==']) assert.equal(await ask(`/plain?md5=${digest('secret/plain')}${padding}`), '<1>')
  assert.equal(await ask(`/plain?md5=${digest('secret/other')}`), '<>')
  assert.equal(await ask('/plain'), '<>')
})

test('the older way: digest of link and secret in the path, the variable is the link', async () => {
  const hex = createHash('md5').update('a/b.htmlword').digest('hex')
  assert.equal(await ask(`/old/${hex}/a/b.html`), '<a/b.html>')
  assert.equal(await ask(`/old/${hex}/a/c.html`), '<>')
  assert.equal(await ask('/old/short/a'), '<>')
  assert.equal(await ask('/none'), '<>')
})

test('the older way’s secret may be the server’s; a location with the newer way does without it', async t => {
  const { port } = await serveHttp(
    t,
    `secure_link_secret word; location /p/ { return 200 <$secure_link>; }
     location /new/ { secure_link $arg_md5; secure_link_md5 x; return 200 <$secure_link>; }`,
  )
  const hex = createHash('md5').update('aword').digest('hex')
  assert.equal((await get(port, `/p/${hex}/a`)).text, '<a>')
  assert.equal((await get(port, `/new/${hex}/a?md5=${digest('x')}`)).text, '<1>')
})
