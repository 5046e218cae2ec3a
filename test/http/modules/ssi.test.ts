import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { origin, request, type Response } from '../../helpers/index.ts'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'

const types = 'types { text/html html; text/css css; }'

function pages(t: TestContext, files: Record<string, string>, body = ''): Promise<HttpServer> {
  const named = Object.fromEntries(Object.entries(files).map(([name, text]) => [`h/${name}`, text]))
  return serveHttp(t, `root h; ssi on; ${body}`, types, { files: { ...named, 'proxy_temp/x': '' } })
}

function ask(port: number, path: string, method = 'GET'): Promise<Response> {
  return request({ address: port, path, method })
}

/** A page on its own, asked for with arguments. */
async function show(t: TestContext, page: string, args = '', body = ''): Promise<string> {
  const { port } = await pages(t, { 'page.html': page }, body)
  return (await ask(port, `/page.html?${args}`)).text
}

test('echo shows variables, made safe as asked', async t => {
  const page = `<!--#set var="v" value="<a&'\\"$arg_a>" --><!--#echo var="v" -->|<!--#echo var="v" encoding="url" -->|
<!--#echo var="v" -->|<!--#echo var="v" encoding="none" -->|<!--#echo var="arg_none" -->|<!--#echo var="none" default="d" -->|
<!--#echo var="arg_empty" default="d" -->|<!--#echo var="REQUEST_METHOD" -->`
  assert.equal(
    await show(t, page, 'a=1&empty='),
    `&lt;a&amp;'&quot;1&gt;|%3Ca&%27%221%3E|
%3Ca&%27%221%3E|<a&'"1>|(none)|d|
|GET`,
  )
})

test('the head says nothing that holds for the page alone', async t => {
  const { port } = await pages(
    t,
    { 'a.html': 'x', 'a.css': '<!--#echo var="uri" -->', 'empty.html': '' },
    'location = /kept { alias h/a.html; default_type text/html; ssi_last_modified on; }',
  )
  const page = await ask(port, '/a.html')
  assert.deepEqual(
    ['content-length', 'accept-ranges', 'last-modified', 'etag'].map(name => page.header(name)),
    [null, null, null, null],
  )
  const kept = await ask(port, '/kept')
  assert.match(kept.header('etag')!, /^W\/"/)
  assert.notEqual(kept.header('last-modified'), null)
  assert.equal((await ask(port, '/a.css')).text, '<!--#echo var="uri" -->')
  assert.equal((await ask(port, '/a.html', 'HEAD')).status, 200)
  assert.equal((await ask(port, '/empty.html')).header('content-length'), '0')
})

test('if, elif and else choose, also within each other', async t => {
  const inner = '<!--#if expr="$arg_b" -->b<!--#elif expr="$arg_c" -->c<!--#else -->d<!--#endif -->'
  const { port } = await pages(t, {
    'a.html': `<!--#if expr="$arg_a" -->a${inner}<!--#else -->z${inner}<!--#endif -->.`,
    're.html': `<!--#if expr="$arg_a = /^(.)(?<rest>.*)\\$/" --><!--#echo var="1" -->-<!--#echo var="rest" --><!--#endif -->`,
    'not.html': `<!--#if expr="$arg_a != x$arg_b" -->yes<!--#else -->no<!--#endif -->`,
    'bad.html': `a<!--#else -->b<!--#if expr="$arg_a ? x" -->c<!--#endif -->d`,
  })
  const text = async (path: string): Promise<string> => (await ask(port, path)).text
  assert.equal(await text('/a.html?a=1&b=1'), 'ab.')
  assert.equal(await text('/a.html?a=1&c=1'), 'ac.')
  assert.equal(await text('/a.html?c=1'), 'zc.')
  assert.equal(await text('/a.html'), 'zd.')
  assert.equal(await text('/re.html?a=hello'), 'h-ello')
  assert.equal(await text('/not.html?a=xy&b=y'), 'no')
  assert.equal(await text('/not.html?a=xy&b=z'), 'yes')
  assert.equal((await text('/bad.html')).split('[an error occurred').length, 4)
})

test('errors show their message, or nothing', async t => {
  const page =
    'a<!--#nothing -->b<!--#config errmsg="E" --><!--#echo -->c<!--#include -->d<!--#echo var="a" var="b" -->'
  assert.equal(await show(t, page), 'a[an error occurred while processing the directive]bEcEdE')
  assert.equal(await show(t, page, '', 'ssi_silent_errors on;'), 'abcd')
})

test('dates have the form that was asked for', async t => {
  const page = `<!--#config timefmt="%s" --><!--#echo var="date_gmt" -->|<!--#config timefmt="%Y-%m-%d %H:%M" --><!--#echo var="date_gmt" -->`
  const before = Math.floor(Date.now() / 1000)
  const [seconds, text] = (await show(t, page)).split('|')
  assert.ok(Number(seconds) >= before && Number(seconds) <= before + 60)
  assert.match(text!, /^\d{4}-\d\d-\d\d \d\d:\d\d$/)
  assert.match(await show(t, '<!--#echo var="date_local" -->'), /^\w+day, \d\d-\w{3}-\d{4} \d\d:\d\d:\d\d \S+$/)
})

test('what is included comes in order, whatever is ready first', async t => {
  const app = await origin(t, (asked, socket) => {
    const delay = Number(/\d+/.exec(asked.target)![0])
    const body = `${asked.target} ${'z'.repeat(delay * 1000)};`
    setTimeout(() => {
      socket.end(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${body}`)
    }, delay)
  })
  const { port } = await pages(
    t,
    {
      'page.html': `0<!--#include virtual="/u/80" -->1<!--#include virtual="/inner.html?x" -->2<!--#include virtual="u/5" -->3`,
      'inner.html': `[<!--#include virtual="/u/40" --><!--#echo var="args" --><!--#include file="u/10" -->]`,
    },
    `location /u/ { proxy_pass http://127.0.0.1:${app.port}; }`,
  )
  const { text } = await ask(port, '/page.html')
  assert.equal(
    text.replace(/z+/g, z => `${z.length}`),
    '0/u/80 80000;1[/u/40 40000;x/u/10 10000;]2/u/5 5000;3',
  )
})

test('a page that includes itself comes to an end', async t => {
  const server = await pages(t, { 'page.html': 'x<!--#include virtual="/page.html" -->' })
  const { text } = await ask(server.port, '/page.html')
  assert.ok(text.startsWith('x'.repeat(50)) && text.length < 200, text)
  assert.match(server.errorLog(), /subrequests cycle/)
})

test('a stub stands in for an answer that is empty or an error', async t => {
  const { port } = await pages(
    t,
    {
      'page.html':
        `<!--#block name="one" -->s<!--#echo var="arg_a" -->;<!--#endblock -->` +
        ['/none', '/blank.html', '/full.html', '/dead', '/empty.html']
          .map(uri => `<!--#include virtual="${uri}?$args" stub="one" -->`)
          .join(''),
      'blank.html': '<!--#if expr="$arg_none" -->x<!--#endif -->',
      'empty.html': '',
      'full.html': 'full;',
    },
    'location /dead { proxy_pass http://127.0.0.1:1; }',
  )
  // What is known to be empty is not looked at, nor what stands for it.
  assert.equal((await ask(port, '/page.html?a=1')).text, 's1;s1;full;s1;s<!--#echo var="arg_a" -->;')
})

test('what is written wrong is told even where nothing is shown, and is not part of a block', async t => {
  const error = '[an error occurred while processing the directive]'
  const branch =
    '<!--#if expr="$arg_none" -->a<!--#bad --><!--#echo -->b<!--#echo var=x -->c<!--#else -->d<!--#endif -->'
  assert.equal(await show(t, branch), `${error}d`)
  assert.equal(await show(t, '<!--#if expr="$arg_none" -->a<!--#elif expr="a b" -->b<!--#endif -->c'), `${error}c`)
  const block = '<!--#block name="b" -->1<!--#bad -->2<!--#echo var=x -->3<!--#endblock -->|'
  assert.equal(await show(t, `${block}<!--#include virtual="/none" stub="b" -->`), `${error}|123`)
})

test('the log tells what is wrong with a command, though it may have no end', async t => {
  const server = await pages(t, {
    'page.html': '<!--#set var="a" value="${" --><!--#include virtual="/%2e%2e/x" --><!--#echo var="a" - -> and so on',
  })
  await ask(server.port, '/page.html')
  const log = server.errorLog()
  assert.match(log, /invalid variable name in "\$\{"/)
  assert.match(log, /unsafe URI "\/\.\.\/x" was detected/)
  assert.match(log, /unexpected " " symbol in "echo" SSI command/)
})

test('an answer becomes the value of a variable', async t => {
  const { port } = await pages(
    t,
    {
      'page.html': `<!--#include virtual="/$arg_u" set="v" -->[<!--#echo var="v" -->]`,
      'a.txt': 'text',
      'b.txt': 'b'.repeat(5000),
    },
    'location = /b.txt { subrequest_output_buffer_size 4k; }',
  )
  assert.equal((await ask(port, '/page.html?u=a.txt')).text, '[text]')
  assert.equal((await ask(port, '/page.html?u=none')).text, '[]')
  await assert.rejects(ask(port, '/page.html?u=b.txt'))
})

test('a variable that doubles itself does not eat the memory', async t => {
  const page = '<!--#set var="a" value="xxxxxxxxxx" -->' + '<!--#set var="a" value="$a$a" -->'.repeat(40)
  assert.match(await show(t, `${page}end`), /\[an error occurred.*end$/)
})

test('many includes run a few at a time', async t => {
  const page = Array.from({ length: 1000 }, (_, i) => `<!--#include virtual="/u.txt?${i}" -->`).join('')
  const { port } = await pages(t, { 'page.html': page, 'u.txt': 'u' })
  assert.equal((await ask(port, '/page.html')).text, 'u'.repeat(1000))
})

test('an else after else is an error wherever it stands', async t => {
  const error = '[an error occurred while processing the directive]'
  const page = '<!--#if expr="$arg_a" -->A<!--#else -->B<!--#else -->C<!--#endif -->D'
  assert.equal(await show(t, page, 'a=1'), `A${error}D`)
  assert.equal(await show(t, page), `B${error}CD`)
})

test('include: a variable that is empty names nothing; an empty block stands for an error', async t => {
  const page =
    '<!--#include virtual="$arg_none" -->|<!--#block name="b" --><!--#endblock --><!--#include virtual="/none" stub="b" -->|'
  assert.equal(await show(t, page), '[an error occurred while processing the directive]||')
})

test('a page that includes itself does so 51 times', async t => {
  const { port } = await pages(t, { 'page.html': 'p<!--#include virtual="/page.html" -->' })
  assert.equal((await ask(port, '/page.html')).text.replace(/\[.*/, ''), 'p'.repeat(52))
})
