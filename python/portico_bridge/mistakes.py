"""What may have been meant, where an application cannot be loaded: the end of the line that says so, or nothing.

Loaded when something is wrong, and never a reason for another error.
"""

import os
import sys

ENVIRONMENTS = ('venv', '.venv', 'env')
# What an application is called where nobody has said how.
FACTORIES = ('create_app', 'make_app')
USUAL = ('app', 'application') + FACTORIES


def instead_of_module(spec, name):
    """`name`: the module that was not found, which `spec` asks for."""
    try:
        parent, _, last = name.rpartition('.')
        module = sys.modules.get(parent)
        if module is not None and hasattr(module, last):  # a dot where the colon belongs
            return _question('%s:%s' % (parent, last))
        import pkgutil

        path = getattr(module, '__path__', None) if parent else sys.path[:2]
        near = _near(last, [found.name for found in pkgutil.iter_modules(path or [])])
        if near is None:
            return ''
        return _question(spec.replace(name, '%s.%s' % (parent, near) if parent else near, 1))
    except Exception:
        return ''


def instead_of_name(module, name):
    try:
        there = [key for key, value in vars(module).items() if callable(value) and not key.startswith('_')]
        near = _near(name, there)
        if near is None and name in USUAL:
            near = next((usual for usual in USUAL if usual in there), None)
        if near is None:
            return ''
        call = '()' if near in FACTORIES else ''
        return _question('%s:%s%s' % (module.__name__, near, call))
    except Exception:
        return ''


def environment_beside():
    """A package is missing: it may be in the virtual environment that lies beside the application."""
    try:
        if sys.prefix != sys.base_prefix:
            return ''
        for folder in [entry for entry in sys.path[:1] if entry] + [os.getcwd()]:
            for name in ENVIRONMENTS:
                python = os.path.join(folder, name, 'bin', 'python')
                if os.path.exists(python):
                    return ', and there is %s (--python, or "python" in an "app" block)' % python
    except Exception:
        pass
    return ''


def _near(name, there):
    import difflib

    return next(iter(difflib.get_close_matches(name, there, 1)), None)


def _question(spec):
    return ', did you mean "%s"?' % spec
