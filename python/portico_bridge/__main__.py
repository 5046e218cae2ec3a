"""The zygote's process: descriptor 3 is the control socket, 4 the life pipe.

Python is given this folder, and not `-m portico_bridge`, so that no file of the folder it is started in is taken for a module of
the library.
"""

import os
import sys

TOO_OLD = 69  # src/app/pool/python-process.ts knows it

# Any Python can read this file, and not the others.
if sys.version_info < (3, 8):
    version = '.'.join(str(number) for number in sys.version_info[:3])
    sys.stderr.write('portico: Python 3.9 or newer is needed: %s is %s\n' % (sys.executable, version))
    sys.exit(TOO_OLD)

if not __package__:
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    from portico_bridge.zygote import main
else:
    from .zygote import main


def leave_no_trace():
    """Takes the bridge's folder out of what the application and the programs it starts get to see.

    Later imports of the bridge's own modules find them by the package's path, which stays.
    """
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    by_name = getattr(sys.modules['__main__'], '__package__', None)
    if by_name and sys.path and sys.path[0] in ('', os.getcwd()) and not getattr(sys.flags, 'safe_path', False):
        del sys.path[0]  # put there by `-m`; the settings name the application's directory
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != ours]
    entries = [
        entry
        for entry in os.environ.get('PYTHONPATH', '').split(os.pathsep)
        if entry and os.path.abspath(entry) != ours
    ]
    if entries:
        os.environ['PYTHONPATH'] = os.pathsep.join(entries)
    else:
        os.environ.pop('PYTHONPATH', None)


if __name__ == '__main__':
    sys.argv[:] = [__file__]  # and not the application's name, which is for `ps`
    leave_no_trace()
    main()
