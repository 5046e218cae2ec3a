"""What a response's status and fields may be, checked fast for what is usual and explained for what is wrong.

Names and statuses an application uses are few, so what was found about each is remembered; values are checked all at
once, in the encoded head.
"""

ORDINARY, CONTENT_LENGTH, HOP_BY_HOP = 0, 1, 2

# RFC 9110, section 7.6.1, and what PEP 3333 refers to (RFC 2616, section 13.5.1).
HOP_BY_HOP_NAMES = frozenset(
    (
        'connection',
        'keep-alive',
        'proxy-authenticate',
        'proxy-authorization',
        'proxy-connection',
        'te',
        'trailer',
        'trailers',
        'transfer-encoding',
        'upgrade',
    )
)
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# All but NUL, which separates, and TAB, which a value may hold.
CONTROLS = bytes(set(range(1, 32)) - {9}) + b'\x7f'

REMEMBERED_MAX = 2048
KINDS = {}
STATUSES = {}


class HeadError(ValueError):
    """The application gave start_response() something that cannot be sent."""


def classify(name):
    """The kind of a field by its name, which must be a token."""
    if not isinstance(name, str):
        raise HeadError('field name %r is %s instead of str' % (name, type(name).__name__))
    if not name or not TOKEN.issuperset(name):
        raise HeadError('field name "%s" is not a token' % ascii(name)[1:-1])
    lower = name.lower()
    kind = ORDINARY
    if lower == 'content-length':
        kind = CONTENT_LENGTH
    elif lower in HOP_BY_HOP_NAMES:
        kind = HOP_BY_HOP
    if len(KINDS) < REMEMBERED_MAX:
        KINDS[name] = kind
    return kind


def check_status(status):
    """The code of a status line's text, "200 OK"."""
    if not isinstance(status, str):
        raise HeadError('status %r is %s instead of str' % (status, type(status).__name__))
    digits = status[:3]
    if not (len(digits) == 3 and digits.isascii() and digits.isdecimal() and status[3:4] in ('', ' ')):
        raise HeadError('status "%s" does not begin with three digits and a space' % ascii(status)[1:-1])
    if not '200' <= digits <= '999':
        raise HeadError('status "%s" cannot end a request' % ascii(status)[1:-1])
    if has_controls(status) or '\t' in status:
        raise HeadError('status "%s" holds a control character' % ascii(status)[1:-1])
    code = int(digits)
    if len(STATUSES) < REMEMBERED_MAX:
        STATUSES[status] = code
    return code


def encode_head(flat):
    """Status, name, value, name, value …; any TypeError or ValueError says that something in there is wrong."""
    head = '\0'.join(flat).encode('latin-1')
    if len(head.translate(None, CONTROLS)) != len(head) or head.count(0) != len(flat) - 1:
        raise ValueError('control character')
    return head


def explain(status, headers, error):
    """What exactly is wrong; only called when something is."""
    if isinstance(error, HeadError):
        return error
    if not isinstance(status, str):
        return HeadError('status %r is %s instead of str' % (status, type(status).__name__))
    if not all(character <= '\xff' for character in status):
        return HeadError('status "%s" holds a character beyond latin-1' % ascii(status)[1:-1])
    if not isinstance(headers, (list, tuple)):
        return HeadError('the headers are %s instead of a list' % type(headers).__name__)
    for pair in headers:
        problem = _explain_pair(pair)
        if problem is not None:
            return HeadError(problem)
    return error


def _explain_pair(pair):
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        return 'header %r is not a pair of name and value' % (pair,)
    name, value = pair
    if not isinstance(name, str):
        return 'field name %r is %s instead of str' % (name, type(name).__name__)
    if not isinstance(value, str):
        return 'value of field "%s" is %s instead of str' % (name, type(value).__name__)
    if has_controls(value):
        return 'value of field "%s" holds a control character: %s' % (name, ascii(value))
    if not all(character <= '\xff' for character in value):
        return 'value of field "%s" holds a character beyond latin-1: %s' % (name, ascii(value))
    return None


def has_controls(text):
    return any((character < ' ' and character != '\t') or character == '\x7f' for character in text)
