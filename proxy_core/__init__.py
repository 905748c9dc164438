"""The gateway itself: protocol, backends, clients' side, configuration. Knows nothing of screens."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("only1mcp")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+source"
