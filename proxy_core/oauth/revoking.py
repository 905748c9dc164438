"""Telling an authorization server that nobody will come with these tokens any more.

Asked where its metadata said at the login. What it makes of it decides nothing here: the tokens are forgotten.
Spec: RFC 7009, sections 2.1 and 2.2; RFC 8414, section 2 (revocation_endpoint).
"""

import asyncio
from typing import Final

from proxy_core.config.login import LoginConfig
from proxy_core.oauth.fetching import FetchFailed, Reach
from proxy_core.oauth.tokens import TokenRefused, Tokens, posted, refusal

REVOKE_S: Final = 5.0
"""For both tokens together: a person waits for it."""
_UNSUPPORTED: Final = "unsupported_token_type"


async def why_not_revoked(reach: Reach, login: LoginConfig, tokens: Tokens, now: float) -> str:
    """Revoke them; why they may be good there still, in words, and empty if they are not."""
    if tokens.revocation is None:
        return f"{tokens.issuer} has no way to be told, and may take its tokens until they expire"
    try:
        async with asyncio.timeout(REVOKE_S):
            # The one first that would get others. One answer does for both where the other cannot be revoked.
            if tokens.refresh_token is not None:
                await _revoke(reach, login, tokens, "refresh_token", tokens.refresh_token, now)
            await _revoke(reach, login, tokens, "access_token", tokens.access_token, now)
    except TokenRefused as error:
        if error.error != _UNSUPPORTED or tokens.refresh_token is None:
            return _in_words(error)
    except FetchFailed as error:
        return _in_words(error)
    except TimeoutError:
        return _in_words(f"it took longer than {REVOKE_S:g} seconds")
    return ""


def _in_words(why: object) -> str:
    return f"the authorization server could not be told, and may take its tokens until they expire: {why}"


async def _revoke(reach: Reach, login: LoginConfig, tokens: Tokens, kind: str, token: str, now: float) -> None:
    """Raises: TokenRefused, FetchFailed. A token that is good no more is none that is refused."""
    form = {"token": token, "token_type_hint": kind}
    place, answer = await posted(reach, login, tokens.client, tokens.revocation or "", form, now)
    if answer.status != 200:
        raise refusal(place, answer.status, answer.json)
