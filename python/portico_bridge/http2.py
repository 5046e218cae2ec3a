"""What WSGI applications are told of HTTP/2, under Gunicorn's names: a stream's priority (RFC 7540, section 5.3) and a way to send
fields behind the body.
"""

from .frames import TRAILERS
from .interim import encode_fields

PRIORITY_WEIGHT = 'gunicorn.http2.priority_weight'
PRIORITY_DEPENDS_ON = 'gunicorn.http2.priority_depends_on'
# Where the client says nothing (RFC 7540, section 5.3.5).
DEFAULT_WEIGHT = 16


def priority(weight=None, depends_on=None):
    """As ASGI's scope has it. The front tells only what a client has said."""
    return {'weight': int(weight or DEFAULT_WEIGHT), 'depends_on': int(depends_on or 0)}


def acquaint(environ, exchange):
    """Completes the environ of a request that came by HTTP/2."""
    told = priority(environ.get(PRIORITY_WEIGHT), environ.get(PRIORITY_DEPENDS_ON))
    environ['HTTP_VERSION'] = '2'
    environ[PRIORITY_WEIGHT] = told['weight']
    environ[PRIORITY_DEPENDS_ON] = told['depends_on']
    environ['gunicorn.http2.send_trailers'] = exchange.send_trailers


def encode_trailers(stream, trailers):
    """The frame of pairs of names and values; empty when there are none."""
    frame, count = encode_fields(TRAILERS, stream, '', trailers)
    return frame if count else b''
