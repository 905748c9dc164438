"""What a backend says of itself in the handshake: bounded, and never more than its own word. Pure.

Spec: 2026-07-28 server/discover; 2025-11-25 basic/lifecycle.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Raw

from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import SERVER_INFO
from proxy_core.protocol.revisions import MODERN, Era, era_of

MAX_INSTRUCTIONS: Final = 16_384
MAX_VERSIONS: Final = 32
MAX_VERSION: Final = 64


@dataclass(frozen=True, slots=True)
class Peer:
    revision: str
    capabilities: dict[str, Any]
    server_info: str
    """Name and version: display only."""
    instructions: str
    era: Era = field(init=False)
    """By the revision; kept, since every call looks at it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "era", era_of(self.revision))

    def offers(self, feature: str) -> bool:
        return isinstance(self.capabilities.get(feature), dict)

    def announces(self, feature: str) -> bool:
        """Whether it says when this list changes."""
        return self.offers(feature) and self.capabilities[feature].get("listChanged") is True

    def extension(self, name: str) -> dict[str, Any] | None:
        """The settings of an extension; None if it is not offered."""
        extensions = self.capabilities.get("extensions")
        settings = extensions.get(name) if isinstance(extensions, dict) else None
        return settings if isinstance(settings, dict) else None

    @property
    def offers_subscriptions(self) -> bool:
        """Whether it tells of single resources that change."""
        return self.offers("resources") and self.capabilities["resources"].get("subscribe") is True


def nobody(revision: str) -> Peer:
    """Somebody spoken to in `revision`, of whom nothing is known yet."""
    return Peer(revision, {}, "", "")


def discovered(result: Raw) -> tuple[Peer, tuple[str, ...]] | None:
    """The peer and its versions in a DiscoverResult; None if it is none."""
    members = plain_object(result)
    supported = members.get("supportedVersions")
    if not isinstance(supported, list):
        return None
    of_result = members.get("_meta")
    info = of_result.get(SERVER_INFO) if isinstance(of_result, dict) else None
    return _peer(MODERN, members, info), versions(supported)


def initialized(result: Raw) -> Peer | None:
    """The peer in an InitializeResult; None if it is none."""
    members = plain_object(result)
    revision = members.get("protocolVersion")
    if not isinstance(revision, str):
        return None
    return _peer(revision[:MAX_VERSION], members, members.get("serverInfo"))


def supported_in(raw_data: bytes) -> tuple[str, ...]:
    """The versions in the data of an UnsupportedProtocolVersionError; none if there are none."""
    supported = plain_object(Raw(raw_data)).get("supported") if raw_data else None
    return versions(supported) if isinstance(supported, list) else ()


def versions(supported: list[Any]) -> tuple[str, ...]:
    return tuple(version[:MAX_VERSION] for version in supported[:MAX_VERSIONS] if isinstance(version, str))


def plain_object(raw: Raw) -> dict[str, Any]:
    """The members of a JSON object; anything else has none."""
    try:
        value = jsonrpc.decode(raw)
    except ParseError:
        return {}
    return value if isinstance(value, dict) else {}


def _peer(revision: str, result: dict[str, Any], info: Any) -> Peer:
    capabilities = result.get("capabilities")
    instructions = result.get("instructions")
    return Peer(
        revision,
        capabilities if isinstance(capabilities, dict) else {},
        _info_text(info),
        instructions[:MAX_INSTRUCTIONS] if isinstance(instructions, str) else "",
    )


def _info_text(info: Any) -> str:
    if not isinstance(info, dict):
        return ""
    return " ".join(str(info[key])[:80] for key in ("name", "version") if isinstance(info.get(key), str))
