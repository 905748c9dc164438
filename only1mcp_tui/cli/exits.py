"""The exit codes of the command, once."""

from enum import IntEnum
from typing import Final

from proxy_core.errors import (
    BackendError,
    BackendFault,
    ClientFault,
    ConfigError,
    InsecureBind,
    Only1Error,
    PortInUse,
    TlsUnusable,
    UnknownServer,
)


class Exit(IntEnum):
    OK = 0
    FAILURE = 1
    USAGE = 2
    PORT_IN_USE = 3
    CALL_FAILED = 4


EXIT_CODES: Final = {
    Exit.OK: "Done, or stopped as asked.",
    Exit.FAILURE: "It failed; stderr says why.",
    Exit.USAGE: "Wrong usage or a bad configuration; nothing was started or changed.",
    Exit.PORT_IN_USE: "The port is in use.",
    Exit.CALL_FAILED: "There is no server or tool of that name, or the call was answered with an error.",
}


def exit_code_of(error: Only1Error) -> Exit:
    if isinstance(error, ConfigError | InsecureBind | TlsUnusable):
        return Exit.USAGE
    if isinstance(error, PortInUse):
        return Exit.PORT_IN_USE
    if isinstance(error, UnknownServer | BackendError | BackendFault | ClientFault):
        return Exit.CALL_FAILED
    return Exit.FAILURE
