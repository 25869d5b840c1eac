"""`python -m mqttwist.passwd FILE USER`: put a user into a password file, or take one out.

The whole file is written anew beside the old one and then takes its name, so that a broker that reads it
sees either the old version or the new one. All other lines stay as they are.
"""

from __future__ import annotations

import argparse
import codecs
import getpass
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import BinaryIO, Final, TextIO

from mqttwist.net.hashes import hash_password
from mqttwist.net.passwords import parse_passwords, user_of

LONGEST: Final = 65535
"""The most bytes of a user name or a password: CONNECT has two bytes for their length (1.5.4, 1.5.6)."""


PROGRAM: Final = "python -m mqttwist.passwd"


def main(
    arguments: Sequence[str],
    stdin: BinaryIO,
    stderr: TextIO,
    ask: Callable[[str], str],
    program: str = PROGRAM,
) -> int:
    """Do what the command line says; `ask(prompt)` reads a password unseen. The help calls us `program`.

    Returns the exit status: 0, or 1 after one line on `stderr`. Raises `SystemExit`, with status 2 for a
    wrong command line, like any `argparse` program.
    """
    options = _parser(program).parse_args(arguments)
    try:
        user = checked_user(options.user)
        if options.delete:
            rewrite(options.file, user, None)
        else:
            password = _from_stdin(stdin) if options.password_stdin else _from_prompt(ask)
            hashed = hash_password(password, options.kind)
            rewrite(options.file, user, user + b":" + hashed.encode("ascii"))
    except (OSError, ValueError, EOFError, KeyboardInterrupt) as error:
        stderr.write(f"mqttwist.passwd: {_told(error)}\n")
        return 1
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Add a user to a password file of `twistd mqtt --auth mqtt-passwords:FILE`, change the"
        " password of one, or delete one. A running broker notices the change.",
    )
    parser.add_argument("file", metavar="FILE", help="the password file; made if there is none")
    parser.add_argument("user", metavar="USER", help="user name: no ':', no line break, no '#' in front")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--delete", action="store_true", help="delete the user")
    action.add_argument(
        "--password-stdin",
        action="store_true",
        help="take all of standard input, without a line break at its end, for the password;"
        " otherwise it is asked for twice",
    )
    parser.add_argument(
        "--kind",
        choices=("argon2id", "scrypt"),
        help="how to hash the password; default: argon2id if argon2-cffi is installed, else scrypt",
    )
    return parser


def checked_user(name: str) -> bytes:
    """The user name as it stands in the file. Raises `ValueError` when it can't stand there."""
    try:
        user = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("the user name is not UTF-8") from error
    if not 1 <= len(user) <= LONGEST:
        raise ValueError(f"the user name must have 1 to {LONGEST} bytes")
    if any(mark in name for mark in ":\r\n\0") or name.startswith("#"):
        raise ValueError("the user name must not begin with '#' or hold ':', a line break or U+0000")
    return user


def _from_stdin(stdin: BinaryIO) -> bytes:
    return _checked_password(stdin.read().removesuffix(b"\n").removesuffix(b"\r"))


def _from_prompt(ask: Callable[[str], str]) -> bytes:
    password = ask("Password: ")
    if ask("The same again: ") != password:
        raise ValueError("the two passwords differ")
    return _checked_password(password.encode("utf-8", "surrogateescape"))


def _checked_password(password: bytes) -> bytes:
    if not 1 <= len(password) <= LONGEST:
        raise ValueError(f"the password must have 1 to {LONGEST} bytes")
    return password


def _told(error: BaseException) -> str:
    if isinstance(error, EOFError | KeyboardInterrupt):
        return "no password given"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)


def rewrite(path: str, user: bytes, line: bytes | None) -> None:
    """Put `line` in the place of the user's line in the file, or at its end; None deletes the user.

    Raises `ValueError` when the file is damaged or has no such user to delete; `OSError`.
    """
    path = os.path.realpath(path)  # what is a link stays a link
    try:
        with open(path, "rb") as file:
            content = file.read()
            old = os.fstat(file.fileno())
    except FileNotFoundError:
        if line is None:
            raise
        content, old = b"", None
    if user not in parse_passwords(content, path) and line is None:
        raise ValueError(f"{path}: no user {user.decode()!r}")
    _replace(path, edited(content, user, line), old)


def edited(content: bytes, user: bytes, line: bytes | None) -> bytes:
    """A password file's content with `line` in the place of the user's, or at the end; None takes it out."""
    content = content.removeprefix(codecs.BOM_UTF8)
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    users = [user_of(each) for each in lines]
    place = users.index(user) if user in users else len(lines)
    lines[place : place + 1] = [] if line is None else [line]
    return b"".join(each + b"\n" for each in lines)


def _replace(path: str, content: bytes, old: os.stat_result | None) -> None:
    """Write the file beside its name and give it the name when it is whole and on the disk.

    A new file is its owner's alone (mode 0600). One that was there keeps its owner and group and lets the
    group read it if it did before, so that what root changes the broker can still read.
    """
    handle, temporary = tempfile.mkstemp(prefix=".mqttwist-passwd-", dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            if old is not None:
                os.fchown(handle, old.st_uid, old.st_gid)
                os.fchmod(handle, 0o600 | (old.st_mode & stat.S_IRGRP))
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.buffer, sys.stderr, getpass.getpass))
