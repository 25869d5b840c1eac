"""Teach strcred's option `--auth` the type `mqtt-passwords`: a password file with hashed secrets."""

from __future__ import annotations

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import ICheckerFactory, InvalidAuthArgumentString
from twisted.plugin import IPlugin
from zope.interface import implementer

HELP = """
A file with one line for each user: user:hash
python -m mqttwist.passwd FILE USER writes it, and so does mosquitto_passwd.
The file is read again when it changes.
"""


@implementer(ICheckerFactory, IPlugin)
class PasswordFileFactory:
    """Makes checkers from `--auth mqtt-passwords:FILE`."""

    authType = "mqtt-passwords"
    authHelp = HELP
    argStringFormat = "Path of a file made by python -m mqttwist.passwd"
    credentialInterfaces = (IUsernamePassword,)

    def generateChecker(self, argstring: str) -> ICredentialsChecker:
        """The checker for the file `argstring`. Raises `InvalidAuthArgumentString` with one clear line."""
        # Twisted imports this module for every twistd command; what it needs waits until it is asked for.
        from mqttwist.net.passwords import PasswordFile

        if not argstring:
            raise InvalidAuthArgumentString(f"{self.authType} needs the path of a file after a ':'")
        try:
            return PasswordFile(argstring)
        except OSError as error:
            text = f"password file {argstring} can't be read: {error.strerror}"
            raise InvalidAuthArgumentString(text) from error
        except ValueError as error:
            raise InvalidAuthArgumentString(f"damaged password file: {error}") from error


password_file_factory = PasswordFileFactory()
