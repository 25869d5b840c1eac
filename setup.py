"""Say which modules are installed, and compile the core; everything else stands in pyproject.toml.

The plugins are single modules in a package that belongs to Twisted. They are named one by one, and there is
no ``__init__.py`` under ``twisted/``: so they land beside Twisted's own plugins, nothing of Twisted is
overwritten, and an uninstall takes away these files alone.

The core is compiled by mypyc from the very files that are installed beside it. That is never needed: without
a C compiler, with ``MQTTWIST_PLAIN=1`` in the environment, or when anything goes wrong, the same files run as
plain Python, and one line says so. An editable install is always plain, so that no edit is hidden by an old
extension.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
PLUGINS = sorted(path.stem for path in HERE.glob("twisted/plugins/mqttwist_*.py"))
CORE = ("wire", "session", "broker", "client")
COMPILING_COMMANDS = {"bdist_wheel", "build", "build_ext", "install"}


def reason_for_plain() -> str:
    """Why the core is not compiled; nothing when it is to be."""
    if "editable_wheel" in sys.argv or "develop" in sys.argv:
        return "an editable install is always plain"
    if os.environ.get("MQTTWIST_PLAIN", "0") not in ("", "0"):
        return "MQTTWIST_PLAIN is set"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if sys.platform != "win32" and shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python.h is missing (Debian: python3-dev)"
    return ""


def say_plain(reason: str) -> None:
    line = reason.splitlines()[0] if reason else "unknown error"
    sys.stderr.write(f"mqttwist: the core is installed as plain Python, not compiled: {line[:300]}\n")


def core_extensions() -> list[Extension]:
    """The extension modules of the core, translated to C; none when it stays plain."""
    if not COMPILING_COMMANDS.intersection(sys.argv):
        return []
    reason = reason_for_plain()
    if not reason:
        paths = [path for room in CORE for path in sorted(HERE.glob(f"mqttwist/{room}/*.py"))]
        try:
            from mypyc.build import mypycify

            # Without a configuration file: the project's own names a plugin that a build has no use for. The
            # package names all of the client for type checkers, Twisted's part too, which is not compiled.
            files = [str(path.relative_to(HERE)) for path in paths]
            extensions: list[Extension] = mypycify(
                [f"--config-file={os.devnull}", "--follow-imports=silent", *files],
                opt_level="3",
                debug_level="0",
            )
            return extensions
        except ImportError:
            reason = "mypyc is not installed"
        except (Exception, SystemExit) as error:  # mypyc exits where it finds an error
            reason = f"mypyc failed: {error}"
    say_plain(reason)
    return []


class BuildCore(build_ext):
    """Builds all of the core's extensions or none: half of them would not work together."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            for path in self.get_outputs():
                Path(path).unlink(missing_ok=True)
            self.extensions = []
            self.distribution.ext_modules = []
            say_plain(f"the C compiler failed ({type(error).__name__}: {error})")


setup(
    # With one root named here, an editable install puts that root on sys.path. Twisted looks for
    # twisted/plugins in the folders of sys.path, so it sees the plugins of an editable install too.
    package_dir={"": "."},
    packages=find_packages(include=["mqttwist", "mqttwist.*"]),
    package_data={"mqttwist": ["py.typed"], "mqttwist.conform": ["*.tsv"]},
    py_modules=[f"twisted.plugins.{name}" for name in PLUGINS],
    ext_modules=core_extensions(),
    cmdclass={"build_ext": BuildCore},
)
