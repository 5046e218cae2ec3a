"""`python3 -m portico_bridge.dirty`: descriptor 3 is the control socket, 4 the life pipe, 5 the socket that listens."""

import sys

from ..__main__ import leave_no_trace
from .arbiter import main

if __name__ == '__main__':
    del sys.argv[1:]  # the application's name, for `ps`
    leave_no_trace()
    main()
