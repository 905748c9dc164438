"""Where a server's tokens come from: its own metadata first, then those of its authorization server.

Spec: 2026-07-28 basic/authorization, "Authorization Server Discovery"; RFC 9728, sections 3 and 5; RFC 8414,
sections 3 and 5; OpenID Connect Discovery, section 4.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from yarl import URL

from proxy_core.oauth.documents import BadDocument, ResourceMetadata, ServerMetadata
from proxy_core.oauth.fetching import FetchFailed, Reach, json_at

DISCOVERY_S: Final = 20.0
"""For all documents together."""
WELL_KNOWN: Final = "/.well-known/"


class NotFound(Exception):
    """No way to log in; its words are for whoever operates the gateway."""


async def discovered(
    reach: Reach, server: str, named: str | None, wanted: str | None
) -> tuple[ResourceMetadata, ServerMetadata]:
    """`named`: the metadata URL of the server's challenge. `wanted`: the one issuer that is allowed.

    Raises: NotFound, FetchFailed.
    """
    if URL(server).scheme != "https" and not reach.may_be_local(URL(server)):
        raise NotFound("its URL is not HTTPS, and a token would be sent there for everybody to read")
    try:
        async with asyncio.timeout(DISCOVERY_S):
            resource = await _resource(reach, server, named)
            if wanted is not None and wanted not in resource.authorization_servers:
                raise NotFound(f"the server does not name {wanted}, which is its issuer in the configuration")
            return resource, await _server(reach, wanted or resource.authorization_servers[0])
    except BadDocument as error:
        raise NotFound(str(error)) from error
    except TimeoutError as error:
        raise FetchFailed(f"its metadata took longer than {DISCOVERY_S:g} seconds") from error


async def _resource(reach: Reach, server: str, named: str | None) -> ResourceMetadata:
    url = URL(server).with_query(None).with_fragment(None).with_user(None)
    # What a challenge names is the server's word, and nothing else is tried beside it.
    places = [named] if named is not None else list(_resource_urls(url))
    for place in places:
        if (document := await _there(reach, place)) is not None:
            return ResourceMetadata.read(document, url)
    if named is not None:
        raise NotFound("there is nothing where the server says that its metadata are")
    # Servers of 2025-03-26 are their own authorization server, and have no metadata of their own.
    return ResourceMetadata(str(url), (str(url.origin()),))


def _resource_urls(server: URL) -> Iterator[str]:
    path = server.raw_path.rstrip("/")
    for suffix in dict.fromkeys((path, "")):
        yield str(server.with_path(f"{WELL_KNOWN}oauth-protected-resource{suffix}", encoded=True))


async def _server(reach: Reach, issuer: str) -> ServerMetadata:
    for place in metadata_urls(issuer):
        if (document := await _there(reach, place)) is not None:
            return ServerMetadata.read(document, issuer)
    raise NotFound(f"the authorization server {issuer[:200]} publishes no metadata")


def metadata_urls(issuer: str) -> Iterator[str]:
    """Those of an authorization server, in the order in which they are tried. Raises: BadDocument."""
    try:
        url = URL(issuer)
        path = url.raw_path.rstrip("/")
        for name in ("oauth-authorization-server", "openid-configuration"):
            yield str(url.with_path(f"{WELL_KNOWN}{name}{path}", encoded=True))
    except ValueError as error:
        raise BadDocument("the server names an authorization server that is no URL") from error
    if path:
        yield str(url.with_path(f"{path}{WELL_KNOWN}openid-configuration", encoded=True))


async def _there(reach: Reach, place: str) -> Any:
    """None: there is no such document. Raises: FetchFailed, if that cannot be told."""
    try:
        return await json_at(reach, place)
    except FetchFailed as error:
        if error.status is not None and 400 <= error.status < 500:
            return None
        raise
