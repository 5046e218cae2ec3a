"""The tasks' process: descriptor 3 is the control socket, 4 the life pipe, 5 the socket that listens. Started as the zygote's."""

import os
import sys

if not __package__:
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    from portico_bridge.__main__ import leave_no_trace
    from portico_bridge.dirty.arbiter import main
else:
    from ..__main__ import leave_no_trace
    from .arbiter import main

if __name__ == '__main__':
    sys.argv[:] = [__file__]  # and not the application's name, which is for `ps`
    leave_no_trace()
    main()
