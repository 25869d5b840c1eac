"""Say which modules are installed; everything else stands in pyproject.toml.

The plugins are single modules in a package that belongs to Twisted. They are named one by one, and there is
no ``__init__.py`` under ``twisted/``: so they land beside Twisted's own plugins, nothing of Twisted is
overwritten, and an uninstall takes away these files alone.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

PLUGINS = sorted(path.stem for path in Path(__file__).parent.glob("twisted/plugins/mqttwist_*.py"))

setup(
    # With one root named here, an editable install puts that root on sys.path. Twisted looks for
    # twisted/plugins in the folders of sys.path, so it sees the plugins of an editable install too.
    package_dir={"": "."},
    packages=find_packages(include=["mqttwist", "mqttwist.*"]),
    package_data={"mqttwist": ["py.typed"]},
    py_modules=[f"twisted.plugins.{name}" for name in PLUGINS],
)
