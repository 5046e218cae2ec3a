"""Becoming the user an application runs as. Only root can; for others the settings must name who they are already."""

import os


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
            if name is not None:
                os.initgroups(name, gid)
            else:
                os.setgroups([gid])
            os.setgid(gid)
        if uid is not None:
            os.setuid(uid)
    except OSError as error:
        raise PrivilegeError('cannot become user "%s" and group "%s": %s' % (user, group, error)) from None
    return None


def _lookup(user, group):
    """Numbers for both; the user's own group where none is named, and the user's name if it has one."""
    import grp
    import pwd

    uid = gid = name = None
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


def _is_number(name):
    return isinstance(name, int) or name.isdecimal()
