"""The keys of an authorization server: where its metadata say they are, or where the configuration does.

How it is asked, and which addresses may be, is `oauth.fetching`'s. Knows nothing of tokens.
Spec: RFC 8414, sections 3 and 5; OpenID Connect Discovery, section 4.
"""

import asyncio
from typing import Any

from yarl import URL

from proxy_core.config.auth import IssuerConfig
from proxy_core.config.base import is_loopback
from proxy_core.oauth.discovery import metadata_urls
from proxy_core.oauth.fetching import FETCH_S, FetchFailed, Reach, json_at


async def key_document(settings: IssuerConfig) -> Any:
    """The issuer's JWK set, as JSON gives it. Raises: FetchFailed."""
    reach = Reach(
        settings.issuer,
        settings.networks,
        "`networks` of the issuer",
        lambda url: _is_named(settings, url) and is_loopback(url.host or ""),
    )
    try:
        async with asyncio.timeout(FETCH_S):
            url = settings.jwks_url or await _advertised(reach, settings)
            return await json_at(reach, url)
    except TimeoutError as error:
        raise FetchFailed(f"it took longer than {FETCH_S:g} seconds") from error


async def _advertised(reach: Reach, settings: IssuerConfig) -> str:
    """Where its keys are, by its metadata. Raises: FetchFailed."""
    first: FetchFailed | None = None
    for url in metadata_urls(settings.issuer):
        try:
            metadata = await json_at(reach, url)
        except FetchFailed as error:
            # Most servers have one of them, and what they answer for the others says little.
            first = first or error
            continue
        if not isinstance(metadata, dict) or metadata.get("issuer") != settings.issuer:
            raise FetchFailed(f"the metadata at {url} are another issuer's")
        found = metadata.get("jwks_uri")
        if not isinstance(found, str):
            raise FetchFailed(f"the metadata at {url} have no jwks_uri")
        return found
    raise first or FetchFailed("it publishes no metadata")


def _is_named(settings: IssuerConfig, url: URL) -> bool:
    """Whether the configuration itself has this origin; no document that is fetched can say so."""
    named = (URL(each).origin() for each in (settings.issuer, settings.jwks_url) if each is not None)
    return url.origin() in named
