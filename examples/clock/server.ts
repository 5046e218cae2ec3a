// A Node application: its default export answers a web Request with a web Response, and everything between is the server's.
// This one tells the time, who it is, and which path it saw.

export default function fetch(request: Request): Response {
  const { pathname, search } = new URL(request.url)
  const now = new Date()
  if (request.headers.get('accept')?.includes('application/json') === true) {
    return Response.json({ time: now.toISOString(), pid: process.pid, method: request.method, path: pathname + search })
  }
  return new Response(page(now, `${request.method} ${pathname}${search}`), {
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
  })
}

function page(now: Date, seen: string): string {
  const clock = now.toISOString().slice(11, 19)
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${clock} · Clock</title>
  <link rel="stylesheet" href="/static/style.css">
  <link rel="icon" type="image/svg+xml" href="/static/logo.svg">
</head>
<body>
  <header>
    <a class="brand" href="/"><img src="/static/logo.svg" alt="" width="56" height="56"><span>Portico</span></a>
    <nav><a href="/">Book</a></nav>
  </header>
  <main>
    <h1>${clock} <small>UTC</small></h1>
    <table>
      <tr><th>date</th><td>${now.toUTCString().slice(0, 16)}</td></tr>
      <tr><th>request</th><td>${escape(seen)}</td></tr>
      <tr><th>process</th><td>${process.pid}, Node ${process.versions.node}</td></tr>
    </table>
  </main>
</body>
</html>
`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
