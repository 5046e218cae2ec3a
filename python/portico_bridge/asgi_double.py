"""Applications of ASGI 2: called with the scope alone, they give what is then called with receive and send."""

from .signatures import fits, signature_of


def single_callable(application):
    """The application as ASGI 3 calls it."""
    if not is_double(application):
        return application

    async def single(scope, receive, send):
        await application(scope)(receive, send)

    return single


def is_double(application):
    """By asgiref's marks, else by what it can be called with: ASGI 3 has three arguments, whatever kind of callable it is."""
    if getattr(application, '_asgi_single_callable', False):
        return False
    if getattr(application, '_asgi_double_callable', False):
        return True
    signature = signature_of(application)
    return signature is not None and fits(signature, 1) and not fits(signature, 3)
