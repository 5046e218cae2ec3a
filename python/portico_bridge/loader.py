"""From "module:name" to an application, as Gunicorn reads it, or to one line that says what is wrong and where.

    module                    the name is `application`
    module:name               a dotted name inside the module
    module:factory('a', k=1)  the result of a call with literal arguments
    config:/FILE[#NAME]       what PasteDeploy makes of that ini file
"""

import importlib
import select
import sys

from .telling import message_of

# An absolute path, which no expression in a module of that name begins with.
PASTE = 'config:/'
# inspect's, which costs a start some milliseconds.
CO_VARARGS, CO_COROUTINE = 0x04, 0x80


class LoadError(Exception):
    """`str()` is one line; `details` the traceback, or empty; `files` those that the traceback names."""

    def __init__(self, line, details='', files=()):
        super().__init__(line)
        self.details = details
        self.files = files


def load(spec, kind, note, paste_global=()):
    """`kind` of the workers it is for: an application of the other interface is told of here, not at each request.

    `note` hears of what is no reason not to begin: Gunicorn would. `paste_global`: names and values for an ini file.
    """
    found = _from_ini(spec, dict(paste_global)) if spec.startswith(PASTE) else _from_module(spec)
    check_poll('cannot load "%s": it' % spec)
    if kind == 'asgi':
        return _for_asgi(spec, found, note)
    if _is_coroutine_function(found):
        if _is_factory(found):
            raise LoadError('cannot load "%s": an "async def" without arguments is no application of WSGI nor of ASGI' % spec)
        raise LoadError('cannot load "%s": it is an ASGI application, say "kind asgi" (-k asgi)' % spec)
    if _takes_too_few(found):
        own = _own_server(found)
        if _is_factory(found) and not own:
            told = '"%s" takes no arguments, and a WSGI application is given two: if it makes the application, say "%s"'
            note(told % (spec, _call_of(spec)))
        else:
            note('"%s" does not take the two arguments that a WSGI application is given%s' % (spec, own))
    return found


def check_poll(who):
    """It is what eventlet takes away, and what waits for signals and frames needs."""
    if not hasattr(select, 'poll'):
        raise LoadError('%s lets eventlet patch the standard library, and only gevent may (-k gevent)' % who)


def _for_asgi(spec, found, note):
    """A factory is called, as uvicorn does it."""
    own = _own_server(found)
    if own:
        note('"%s" is no ASGI application%s' % (spec, own))
        return found
    if _is_factory(found):
        made = found if _is_coroutine_function(found) else _called(spec, _call_of(spec), found, ([], {}))
        if made is found:
            note('"%s" does not take the three arguments that an ASGI application is given' % spec)
            return found
        note('"%s" is taken for a factory and called, "%s" says so' % (spec, _call_of(spec)))
        found = made
    if _takes_only_two(found):
        note('"%s" takes two arguments, as a WSGI application does, and workers of kind asgi give it three (-k sync?)' % spec)
    return found


def _own_server(application):
    """What is to be said of a framework's application that is of neither interface."""
    for one in type(application).__mro__:
        name = one.__module__.partition('.')[0]
        if name in ('aiohttp', 'tornado'):
            return ': %s has a server of its own, which runs by itself, behind proxy_pass' % name
    return ''


def _call_of(spec):
    """How a factory is named."""
    return spec + ('()' if ':' in spec else ':application()')


def _from_module(spec):
    module_name, _, expression = spec.partition(':')
    expression = expression.strip() or 'application'
    module = _import(spec, module_name.strip())
    name, arguments = _parse(spec, expression)
    found = _attribute(spec, module, name)
    if arguments is not None:
        return _called(spec, expression, found, arguments)
    if not callable(found):
        raise LoadError('cannot load "%s": "%s" in %s is not callable: %s' % (spec, name, _place(module), _short(found)))
    return found


def _called(spec, expression, factory, arguments):
    made = _call(spec, expression, factory, arguments)
    if not callable(made):
        raise LoadError('cannot load "%s": what %s returns is not callable: %s' % (spec, expression, _short(made)))
    return made


def _from_ini(spec, variables):
    import os

    path = spec[len(PASTE) - 1 :].partition('#')[0]
    if not os.path.exists(path):
        raise LoadError('cannot load "%s": there is no file "%s"' % (spec, path))
    try:
        from paste.deploy import loadapp
    except ImportError:
        there = 'cannot load "%s": %s has no package PasteDeploy, which reads such files: "pip install PasteDeploy"'
        raise LoadError(there % (spec, sys.executable)) from None
    try:
        return loadapp(spec, global_conf=variables)
    except LookupError as error:
        if 'paste' in error.__traceback__.tb_next.tb_frame.f_globals['__name__'] and str(error).startswith('No '):
            raise LoadError('cannot load "%s": %s' % (spec, ' '.join(str(error).split()))) from None
        raise _failure(spec, 'PasteDeploy cannot make it', error) from None
    except BaseException as error:
        raise _failure(spec, 'PasteDeploy cannot make it', error) from None


def _is_coroutine_function(application):
    code = _code_of(application)
    return code is not None and code.co_flags & CO_COROUTINE != 0


def _code_of(application):
    function = application if hasattr(application, '__code__') else getattr(type(application), '__call__', None)
    return getattr(function, '__code__', None)


def _takes_too_few(application):
    """Fewer than WSGI's two. What is usual is told without the signature, which takes time to make."""
    code = _code_of(application)
    if code is None or code.co_flags & CO_VARARGS:
        return False
    bound = hasattr(application, '__self__') or not hasattr(application, '__code__')
    if code.co_argcount - bound >= 2:
        return False
    from .signatures import fits, signature_of

    signature = signature_of(application)
    return signature is not None and not fits(signature, 2)


def _is_factory(application):
    """It needs no arguments, so it is an application of neither interface."""
    from .signatures import fits, signature_of

    if hasattr(application, '_asgi_single_callable') or hasattr(application, '_asgi_double_callable'):
        return False
    signature = signature_of(application)
    if signature is None or not fits(signature, 0):
        return False
    return all(parameter.kind is not parameter.VAR_POSITIONAL for parameter in signature.parameters.values())


def _takes_only_two(application):
    """ASGI has three arguments, or one."""
    from .signatures import fits, signature_of

    signature = signature_of(application)
    return signature is not None and [number for number in (1, 2, 3) if fits(signature, number)] == [2]


def _import(spec, name):
    if not name:
        raise LoadError('cannot load "%s": no module is named' % spec)
    if name.endswith('.py') and name != '.py':
        module = '.'.join(part for part in name[:-3].split('/') if part not in ('', '.'))
        raise LoadError('cannot load "%s": "%s" is not the name of a module, as "%s" is' % (spec, name, module))
    if name.startswith('.') or not all(part.isidentifier() for part in name.split('.')):
        raise LoadError('cannot load "%s": "%s" is not the name of a module' % (spec, name))
    try:
        importlib.import_module(name)
        return sys.modules[name]
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + '.')):
            from .mistakes import instead_of_module

            places = dict.fromkeys(entry for entry in sys.path[:3] if entry and '/lib/py' not in entry)
            where = ' in %s' % ', '.join(places) if places else ''
            where += instead_of_module(spec, error.name)
            raise LoadError('cannot load "%s": there is no module "%s"%s' % (spec, error.name, where)) from None
        raise _failure(spec, 'importing it failed', error) from None
    except BaseException as error:  # SystemExit too: a module that leaves must not take the zygote with it silently
        raise _failure(spec, 'importing it failed', error) from None


def _parse(spec, expression):
    """A dotted name, and its call's (positional, keyword) arguments or None."""
    if all(part.isidentifier() for part in expression.split('.')):
        return expression, None
    import ast

    try:
        node = ast.parse(expression, mode='eval').body
        if not isinstance(node, ast.Call):
            raise ValueError('neither a name nor a call')
        name = expression[: expression.index('(')].strip()
        is_name = all(part.isidentifier() for part in name.split('.'))
        if not is_name or any(isinstance(one, ast.Call) for one in ast.walk(node.func)):
            raise ValueError('only a name can be called')
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError('"**" cannot be used')
        positional = [ast.literal_eval(argument) for argument in node.args]
        return name, (positional, {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords})
    except SyntaxError:
        raise LoadError('cannot load "%s": "%s" is not a name nor a call' % (spec, expression)) from None
    except ValueError as error:
        problem = 'arguments must be literals' if 'malformed' in str(error) else error
        raise LoadError('cannot load "%s": "%s": %s' % (spec, expression, problem)) from None


def _attribute(spec, module, name):
    found = module
    for part in name.split('.'):
        try:
            found = getattr(found, part)
        except AttributeError:
            from .mistakes import instead_of_name

            place = _place(module) + (instead_of_name(module, name) if found is module else '')
            raise LoadError('cannot load "%s": there is no "%s" in %s' % (spec, name, place)) from None
    return found


def _call(spec, expression, factory, arguments):
    if not callable(factory):
        raise LoadError('cannot load "%s": it calls what is not callable: %s' % (spec, _short(factory)))
    try:
        return factory(*arguments[0], **arguments[1])
    except BaseException as error:
        if isinstance(error, TypeError) and error.__traceback__.tb_next is None:  # it was not even begun
            raise LoadError('cannot load "%s": the arguments are wrong: %s' % (spec, error)) from None
        raise _failure(spec, 'calling %s failed' % expression, error) from None


def _failure(spec, what, error):
    import traceback

    trace = _outside_import(error.__traceback__)
    details = ''.join(traceback.format_exception(type(error), error, trace))
    if isinstance(error, SyntaxError) and error.filename:
        place = '%s:%s' % (error.filename, error.lineno)
    else:
        last = traceback.extract_tb(trace)[-1:]
        place = '%s:%s' % (last[0].filename, last[0].lineno) if last else ''
    message = message_of(error)
    if isinstance(error, SyntaxError) and error.msg:
        message = error.msg
    cause = '%s: %s' % (type(error).__name__, message) if message else type(error).__name__
    files = [frame.filename for frame in traceback.extract_tb(trace)]
    if isinstance(error, SyntaxError) and error.filename:
        files.append(error.filename)
    line = 'cannot load "%s": %s: %s%s' % (spec, what, cause, ' (%s)' % place if place else '')
    if isinstance(error, ModuleNotFoundError):  # it may be there for another one
        from .mistakes import environment_beside

        line += '; the interpreter is %s%s' % (sys.executable, environment_beside())
    return LoadError(line, details, files)


def _outside_import(trace):
    """The traceback from where it leaves this file and the import machinery; None when it never does."""
    start = trace
    while start is not None:
        name = start.tb_frame.f_code.co_filename
        if name != __file__ and 'importlib' not in name:
            return start
        start = start.tb_next
    return None


def _place(module):
    return getattr(module, '__file__', None) or 'module "%s"' % module.__name__


def _short(value):
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + '...'
