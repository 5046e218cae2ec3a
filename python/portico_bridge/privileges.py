"""Becoming the user an application runs as. Only root can; for others the settings must name who they are already."""

import os
import sys


class PrivilegeError(Exception):
    pass


def drop(user, group):
    """Returns a warning, or None."""
    if user is None and group is None:
        return None
    uid, gid, name = _lookup(user, group)
    if os.geteuid() != 0:
        if uid in (None, os.geteuid()) and gid in (None, os.getegid()):
            return None
        return 'user "%s" and group "%s" are ignored: not started by root' % (user, group)
    try:
        if gid is not None:
            _take_groups(name, uid, gid)
            os.setgid(gid)
        if uid is not None:
            os.setuid(uid)
    except OSError as error:
        raise PrivilegeError('cannot become user "%s" and group "%s": %s' % (user, group, error)) from None
    _check_reach(user if user is not None else uid)
    return None


def _take_groups(name, uid, gid):
    try:
        if name is not None:
            os.initgroups(name, gid)
        else:
            os.setgroups([gid])
    except PermissionError:
        # Root without its rights, as in a container, may stay who it is.
        if uid not in (None, os.getuid()) or gid != os.getgid():
            raise


def _check_reach(user):
    """Root has started the interpreter; whether its user can still import from it would else be told by a riddle.

    An interpreter of pyenv's or an environment in root's home is closed to others: any import that comes from now on would
    say that a module of the standard library does not exist.
    """
    library = os.path.dirname(os.__file__)
    bridge = os.path.dirname(os.path.abspath(__file__))
    for place in (library, sys.prefix):
        if not os.access(place, os.R_OK | os.X_OK):
            raise PrivilegeError(
                'user "%s" cannot read "%s", which the interpreter "%s" needs: name another one ("python /usr/bin/python3;"), '
                'another "user", or open that folder' % (user, place, sys.executable)
            )
    if not os.access(bridge, os.R_OK | os.X_OK):
        raise PrivilegeError('user "%s" cannot read "%s", a part of this server: install it elsewhere' % (user, bridge))


def _lookup(user, group):
    """Numbers for both; the user's own group where none is named, and the user's name if it has one."""
    import grp
    import pwd

    uid = gid = name = None
    user, group = _number(user), _number(group)
    if user is not None:
        try:
            entry = pwd.getpwuid(int(user)) if _is_number(user) else pwd.getpwnam(user)
            uid, gid, name = entry.pw_uid, entry.pw_gid, entry.pw_name
        except KeyError:
            if not _is_number(user):
                raise PrivilegeError('user "%s" does not exist' % user) from None
            if group is None:
                raise PrivilegeError('user "%s" has no entry of its own: a group must be named' % user) from None
            uid = int(user)
    if group is not None:
        try:
            gid = int(group) if _is_number(group) else grp.getgrnam(group).gr_gid
        except KeyError:
            raise PrivilegeError('group "%s" does not exist' % group) from None
    return uid, gid, name


def _number(name):
    """`#1001`: what has no name has a number."""
    return name[1:] if isinstance(name, str) and name.startswith('#') else name


def _is_number(name):
    return isinstance(name, int) or name.isdecimal()
