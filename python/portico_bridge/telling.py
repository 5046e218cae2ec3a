"""Errors of the application in words."""


def message_of(error):
    """In one line. What an application raises may itself fail to say what it is."""
    try:
        return ' '.join(str(error).split())
    except Exception as failure:
        return '(its message cannot be had: %s)' % type(failure).__name__
