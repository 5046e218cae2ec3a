"""Errors of the application in words."""

import os


def message_of(error):
    """In one line. What an application raises may itself fail to say what it is."""
    try:
        return ' '.join(str(error).split())
    except Exception as failure:
        return '(its message cannot be had: %s)' % type(failure).__name__


def told(error):
    """What it is and where it was raised, in one line, and its traceback: both without the bridge's own part of the stack."""
    import traceback  # which a start can do without

    own = os.path.dirname(__file__)
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == own and trace.tb_next is not None:
        trace = trace.tb_next
    lines = ''.join(traceback.format_exception(type(error), error, trace)).rstrip()
    places = [frame for frame in traceback.extract_tb(trace) if os.path.dirname(frame.filename) != own]
    place = ' (%s:%s)' % (places[-1].filename, places[-1].lineno) if places else ''
    message = message_of(error)
    cause = '%s: %s' % (type(error).__name__, message) if message else type(error).__name__
    return cause + place, lines
