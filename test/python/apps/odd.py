"""Applications and what is taken for one, for the loader's tests."""

import functools


def create_app(name='made'):
    async def application(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': name.encode()})

    return application


def create_wsgi_app():
    return hello


def create_badly():
    raise RuntimeError('made badly')


def hello(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']


@functools.wraps(create_wsgi_app)
def wrapped(*arguments):
    return hello(*arguments)


class OneArgument:
    def __call__(self, request):
        return None


class Itself:
    def __call__(self):
        return self


class Shop:
    def hello(self, environ, start_response):
        return hello(environ, start_response)


class Asynchronous:
    async def __call__(self, scope, receive, send):
        await create_app('object')(scope, receive, send)


one_argument = OneArgument()
itself = Itself()
shop = Shop()
asynchronous = Asynchronous()


async def create_later():
    return create_wsgi_app()


class OfItsOwn:
    __module__ = 'tornado.web'

    def __call__(self, request):
        pass


of_its_own = OfItsOwn()
