"""Say which modules are installed; everything else stands in pyproject.toml.

The twistd plugin is one module in a package that belongs to Twisted. It is named alone, and there is
no ``__init__.py`` under ``twisted/``: so it lands beside Twisted's own plugins, nothing of Twisted is
overwritten, and an uninstall takes away this one file.
"""

from __future__ import annotations

from setuptools import find_packages, setup

setup(
    # With one root named here, an editable install puts that root on sys.path. Twisted looks for
    # twisted/plugins in the folders of sys.path, so it sees the plugin of an editable install too.
    package_dir={"": "."},
    packages=find_packages(include=["mqttwist", "mqttwist.*"]),
    package_data={"mqttwist": ["py.typed"]},
    py_modules=["twisted.plugins.mqttwist_plugin"],
)
