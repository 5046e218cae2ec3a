"""What a callable takes, whatever its annotations are."""

import inspect
import sys


def signature_of(function):
    """None: it does not tell.

    From Python 3.14 on annotations are run when somebody asks for them, and may name what is imported for type checkers alone.
    As strings they are not run.
    """
    options = {}
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        options['annotation_format'] = Format.STRING
    try:
        return inspect.signature(function, **options)
    except Exception:  # also what an object of the user's own throws when it is looked at
        return None


def fits(signature, number):
    """Can it be called with so many positional arguments?"""
    try:
        signature.bind(*[None] * number)
    except TypeError:
        return False
    return True
