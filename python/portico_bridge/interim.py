"""Responses ahead of the response: 103 Early Hints (RFC 8297), which a browser begins to load by while the page is still made.

What comes behind the head of the response is too late, and the front passes over it. It also knows which clients take hints.
"""

from _thread import get_ident

from .frames import HEADER, INTERIM
from .head import KINDS, HeadError, classify, encode_head, explain

EARLY_HINTS = '103 Early Hints'
STATUSES = {102: '102 Processing', 103: EARLY_HINTS}


class EarlyHints:
    """`wsgi.early_hints`, one for each seat: it is called with fields for the client of the request that is being served."""

    def __init__(self, seat):
        self.seat = seat

    def __call__(self, headers):
        seat = self.seat
        frame = encode_interim(seat.stream, EARLY_HINTS, headers)
        connection = seat.busy
        if frame and connection is not None and not seat.forked and get_ident() == seat.thread:
            connection.send(frame)


def encode_interim(stream, status, headers):
    """The frame; empty when there is nothing to tell."""
    frame, count = encode_fields(INTERIM, stream, status, headers)
    return frame if count or status is not EARLY_HINTS else b''


def encode_fields(kind, stream, status, headers):
    """A frame of status and fields, and how many these are. Names and values may be bytes, as with Gunicorn."""
    flat = [status]
    headers = [pair if len(pair) != 2 else (text_of(pair[0]), text_of(pair[1])) for pair in headers]
    try:
        for name, value in headers:
            known = KINDS.get(name)
            if not (classify(name) if known is None else known):
                flat += name, value.strip(' \t')
        head = encode_head(flat)
    except (TypeError, ValueError, AttributeError) as error:
        raise explain(status, headers, error) from None
    count = len(flat) >> 1
    return HEADER.pack(len(head), stream, kind, 0, count) + head, count


def text_of(value):
    return value.decode('latin-1') if isinstance(value, bytes) else value


def early_hint(message):
    """An ASGI message as a status and fields: Gunicorn's of any kind, or that of the specification's extension."""
    if message['type'] == 'http.response.early_hint':
        return EARLY_HINTS, [(b'link', link) for link in message.get('links') or ()]
    return STATUSES.get(message.get('status')), message.get('headers') or ()
