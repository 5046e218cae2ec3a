"""Errors of applications in words: one line, a message, a traceback. Whatever they are, and however long."""

import os
import traceback

from .api.errors import TEXT_MAX


def in_line(error):
    message = ' '.join(message_of(error).split())
    return '%s: %s' % (type(error).__name__, message) if message else type(error).__name__


def message_of(error):
    try:
        return safe(str(error))[:TEXT_MAX]
    except Exception:
        return 'an error that cannot be told'


def text_of(error):
    """The traceback, without our own frames."""
    trace = error.__traceback__
    here = os.path.dirname(__file__)
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == here:
        trace = trace.tb_next
    try:
        return safe(''.join(traceback.format_exception(type(error), error, trace)))[-TEXT_MAX:]
    except Exception:
        return message_of(error)


def safe(text):
    """What has no form in UTF-8 is written out."""
    return text.encode('utf-8', 'backslashreplace').decode()
