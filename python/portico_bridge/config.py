"""The configuration file: a program in Python, run here because nothing else can run it.

    python3 -m portico_bridge.config LOCATION    descriptor 3 gets its settings as JSON, for `portico serve`, 4 is a life pipe
    run(LOCATION)                                its names, in the process that needs its functions

LOCATION is `PATH`, `file:PATH` or `python:MODULE`; `class:MODULE.NAME` asks for a worker class instead. Functions cannot
travel: of a hook only its name is told, and the zygote runs the file once more to have it. Of a class its name and those of
its bases are told.
"""

import importlib
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys

from .signatures import signature_of

RESULT = 3
# Ends with whoever wants the settings: a file may take for ever, and nobody is left to wait for it.
LIFE = 4

# Hooks, and how many arguments each is called with.
HOOKS = {
    'on_starting': 1,
    'on_reload': 1,
    'when_ready': 1,
    'pre_fork': 2,
    'post_fork': 2,
    'post_worker_init': 1,
    'worker_int': 1,
    'worker_abort': 1,
    'pre_exec': 1,
    'pre_request': 2,
    'post_request': None,  # two to four
    'child_exit': 2,
    'worker_exit': 2,
    'nworkers_changed': 3,
    'on_exit': 1,
    'ssl_context': 2,
    'on_dirty_starting': 1,
    'dirty_post_fork': 2,
    'dirty_worker_init': 1,
    'dirty_worker_exit': 2,
}
CLASSES = ('worker_class', 'logger_class')
# Whatever can be gone through is a list there.
LISTS = ('bind', 'raw_env', 'reload_extra_files', 'raw_paste_global_conf', 'dirty_apps')


class ConfigError(Exception):
    pass


def run(location):
    """The names that the file or module defines."""
    if location.startswith('python:'):
        return vars(importlib.import_module(location[len('python:') :]))
    path = location[len('file:') :] if location.startswith('file:') else location
    if not os.path.exists(path):
        raise ConfigError("%r doesn't exist" % path)
    loader = importlib.machinery.SourceFileLoader('__config__', path)
    spec = importlib.util.spec_from_file_location('__config__', path, loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules['__config__'] = module
    # No compiled copy: two versions of a file within one second would be taken for each other.
    exec(compile(loader.get_data(path), path, 'exec'), vars(module))
    return vars(module)


def settings_of(names):
    """What of it can be a setting, as JSON has it."""
    return {
        name: plain_setting(name, value)
        for name, value in names.items()
        if name.islower() and not name.startswith('_') and not inspect.ismodule(value)
    }


def plain_setting(name, value):
    if name in CLASSES:
        return plain_class(value)
    if name in HOOKS:
        return plain_hook(name, value)
    if name in LISTS and value and not isinstance(value, (str, bytes, list, tuple)):
        try:
            value = list(value)
        except TypeError:
            pass
    return plain(value)


def plain(value, depth=4):
    """As JSON has it; what is not, and what lies deeper than any setting, is told by the name of its type."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)) and depth > 0:
        return [plain(one, depth - 1) for one in value]
    if isinstance(value, dict) and depth > 0:
        return {str(name): plain(one, depth - 1) for name, one in value.items()}
    return {'python': type(value).__name__}


def plain_class(value):
    if inspect.isfunction(value) or inspect.ismethod(value):
        value = value()
    if isinstance(value, str):
        value = named_class(value) or value
    if inspect.isclass(value):
        return ['%s.%s' % (one.__module__, one.__qualname__) for one in value.__mro__ if one is not object]
    if value is not None and not isinstance(value, str):
        raise ConfigError('a class is needed, or its name, not %r' % (value,))
    return value and value.strip()


def named_class(path):
    """The class behind a dotted name of the user's own; None for what is not found: the name may be a known one."""
    module, _, name = path.rpartition('.')
    if not module or module.split('.')[0] in ('gunicorn', 'uvicorn', 'uvicorn_worker'):
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception:
        return None
    return found if inspect.isclass(found) else None


def plain_hook(name, value):
    function(name, value)
    return True


def function(name, value):
    """The callable, which may be given by its dotted name, and takes as many arguments as it will get."""
    if isinstance(value, str):
        module, _, attribute = value.rpartition('.')
        if not module:
            raise ConfigError('%s: %r is no dotted name of a function' % (name, value))
        value = getattr(importlib.import_module(module), attribute)
    if not callable(value):
        raise ConfigError('%s is not callable: %r' % (name, value))
    number = arity(value)
    wanted = HOOKS[name]
    if number is not None and (number not in (2, 3, 4) if wanted is None else number != wanted):
        raise ConfigError('%s takes %d arguments instead of %s' % (name, number, wanted or '2 to 4'))
    return value


def arity(value):
    """How many positional arguments it takes; None: any number, or nobody knows."""
    signature = signature_of(value)
    if signature is None:
        return None
    parameters = signature.parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return None
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)


def main():
    from .__main__ import leave_no_trace
    from .stand_in import offer_dirty, provide_gunicorn
    from .worker import die_with

    leave_no_trace()
    os.set_inheritable(RESULT, False)
    os.set_inheritable(LIFE, False)
    die_with(LIFE)
    location = sys.argv[1]
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    sys.argv[:] = ['gunicorn', *sys.argv[2:]]
    provide_gunicorn()
    offer_dirty()
    try:
        if location.startswith('class:'):
            result = {'worker_class': plain_class(location[len('class:') :])}
        else:
            result = settings_of(run(location))
    except ConfigError as error:
        sys.exit('\nError: %s' % error)
    except SystemExit:
        raise  # the file itself ends it, with a code of its own
    except BaseException as error:
        import traceback

        print('Failed to read config file: %s' % location, file=sys.stderr)
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)
        sys.exit(1)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with open(RESULT, 'w', encoding='utf-8') as out:
        json.dump(result, out)
    os._exit(0)  # threads that the file started are no reason to stay


if __name__ == '__main__':
    main()
