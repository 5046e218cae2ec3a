// A handler of the Fetch standard: `export default { fetch }`.

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/echo') return new Response(request.body, { headers: { 'X-Method': request.method } })
    if (pathname === '/boom') throw new Error('boom')
    if (pathname === '/cookies') {
      const headers = new Headers()
      headers.append('Set-Cookie', 'a=1')
      headers.append('Set-Cookie', 'b=2')
      return new Response(null, { status: 204, headers })
    }
    if (pathname === '/forever') return new Response(forever(request.signal))
    if (pathname === '/aborted') return new Response(String(aborted))
    return new Response(`${process.pid} ${request.headers.get('x-forwarded-for')} ${searchParams.toString()}`)
  },
}

let aborted = 0

/** Ends only with the client. */
function forever(signal: AbortSignal): ReadableStream<Uint8Array> {
  let clock: NodeJS.Timeout
  signal.addEventListener('abort', () => {
    clearInterval(clock)
    aborted++
  })
  return new ReadableStream({
    start(controller) {
      clock = setInterval(() => controller.enqueue(new TextEncoder().encode('begun')), 20)
    },
  })
}
