"""What a screen wants done, as messages that rise to the app; a screen changes nothing itself."""

from textual.message import Message


class ServerIntent(Message):
    """A wish about one server, or about one of its replicas, named `server/replica`."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


class DrainRequested(ServerIntent):
    pass


class UndrainRequested(ServerIntent):
    pass


class EnableRequested(ServerIntent):
    pass


class DisableRequested(ServerIntent):
    pass


class RestartRequested(ServerIntent):
    pass


class ProbeRequested(ServerIntent):
    pass


class ClearCacheRequested(ServerIntent):
    """Drop what is kept of its answers; of a replica, of its whole server; `*`: of all."""


class DrillRequested(ServerIntent):
    """Make a fault on purpose there, or end the one that is."""


class ApprovalRequested(ServerIntent):
    """Show what is different in its tools, to be approved; that of `tool`, by the server's own name, first."""

    def __init__(self, target: str, tool: str = "") -> None:
        super().__init__(target)
        self.tool = tool


class LoginRequested(ServerIntent):
    """Have a person log in there with a browser, so that the gateway may use the server."""


class ServerOpened(ServerIntent):
    """Show this server in full."""


class DrainAllRequested(Message):
    """Drain every server, or put them all back if that is what they are already."""


class ImportRequested(Message):
    """Look for servers in the configurations of AI clients."""


class CopyRequested(Message):
    """Put a text, already made safe, on the clipboard."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
