"""A real authorization server for the tests: a process of its own, on a free port of this machine.

What clients use is Authlib's (client credentials of RFC 6749; access tokens of RFC 9068; metadata of RFC 8414).
Beside it are doors for tests alone, below `/test/`: tokens with any header and claims, other keys, and more.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

CLIENT, SECRET = "robot", "s3cret-of-the-robot"
RESOURCE = "https://gw.example/mcp"


class AuthorizationServer:
    """The tests' side of it."""

    def __init__(self, url: str) -> None:
        self.issuer = url

    def config(self, **settings: Any) -> dict[str, Any]:
        """The `auth` of a gateway that takes its tokens; keys of an issuer, those of `auth` too."""
        auth = {name: settings.pop(name) for name in ("scopes", "leeway_s", "tokens") if name in settings}
        return {"resource": RESOURCE, "issuers": [{"issuer": self.issuer, **settings}], **auth}

    def granted(self, scope: str = "mcp:use") -> str:
        """A token as a client gets it."""
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        body = f"grant_type=client_credentials&scope={scope.replace(':', '%3A').replace(' ', '+')}".encode()
        headers = {
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        with urlopen(Request(f"{self.issuer}/token", body, headers), timeout=20) as answer:
            return str(json.load(answer)["access_token"])

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signed with its key, good if nothing is said; a claim that is None is left out."""
        return str(self._ask("token", {"header": header or {}, "claims": self.claims(**claims)})["token"])

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        good = {
            "iss": self.issuer,
            "sub": "ann",
            "client_id": "editor",
            "aud": RESOURCE,
            "exp": now + 600,
            "iat": now,
            "scope": "mcp:use",
        }
        return {name: value for name, value in (good | claims).items() if value is not None}

    def rotate(self, *, keeps_old: bool) -> None:
        """Sign with a new key from now on."""
        self._ask("rotate", {"keeps_old": keeps_old})

    def publish(self, **answers: Any) -> None:
        """Say this as `metadata` or `jwks`, with this `status`, `location`, `delay_s`; nothing: as before."""
        self._ask("publish", answers)

    def public_keys(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.issuer}/jwks", timeout=20) as answer:
            return list(json.load(answer)["keys"])

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        return int(self._ask("asked", {"path": path})["times"])

    def _ask(self, door: str, body: Any) -> Any:
        request = Request(f"{self.issuer}/test/{door}", json.dumps(body).encode())
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)


@contextmanager
def authorization_server() -> Iterator[AuthorizationServer]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.authorization_server"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"},
    )
    try:
        assert process.stdout is not None
        yield AuthorizationServer(process.stdout.readline().decode().strip())
    finally:
        # The end of its stdin is the end of it, also if the tests are killed.
        process.communicate(timeout=20)


def as_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# --- the process ----------------------------------------------------------------------------------------------


def main() -> None:
    from aiohttp import web
    from authlib.oauth2.rfc6749 import AuthorizationServer as Framework
    from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request
    from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
    from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
    from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
    from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
    from joserfc import jws
    from joserfc.jwk import ECKey, KeySet

    keys = [ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)]
    asked: dict[str, int] = {}
    said: dict[str, Any] = {}
    issuer = ""

    class Robot(ClientMixin):
        def get_client_id(self) -> str:
            return CLIENT

        def check_client_secret(self, client_secret: str) -> bool:
            return client_secret == SECRET

        def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
            return method == "client_secret_basic"

        def check_grant_type(self, grant_type: str) -> bool:
            return grant_type == "client_credentials"

        def get_allowed_scope(self, scope: str) -> str:
            return scope

    class Tokens(JWTBearerTokenGenerator):  # type: ignore[misc]
        def get_jwks(self) -> Any:
            return KeySet([keys[-1]])

        def get_audiences(self, client: Any, user: Any, scope: str) -> str:
            return RESOURCE

    class Server(Framework):  # type: ignore[misc]
        def query_client(self, client_id: str) -> Robot | None:
            return Robot() if client_id == CLIENT else None

        def save_token(self, token: Any, request: Any) -> None:
            """They are not kept."""

        def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
            """Nobody listens."""

        def create_oauth2_request(self, request: Any) -> OAuth2Request:
            made = OAuth2Request("POST", request["uri"], headers=request["headers"])
            made.payload = BasicOAuth2Payload(request["form"])
            return made

        def handle_response(self, status: int, body: Any, headers: Any) -> web.Response:
            return web.json_response(body, status=status)

    async def token(request: web.Request) -> web.Response:
        form = dict(await request.post())
        asking = {"uri": f"{issuer}/token", "headers": dict(request.headers), "form": form}
        answered: web.Response = server.create_token_response(asking)
        return answered

    async def metadata(request: web.Request) -> web.StreamResponse:
        document = AuthorizationServerMetadata(
            {
                "issuer": issuer,
                "token_endpoint": f"{issuer}/token",
                "authorization_endpoint": f"{issuer}/authorize",
                "jwks_uri": f"{issuer}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["client_credentials"],
                "code_challenge_methods_supported": ["S256"],
            }
        )
        return await published("metadata", document)

    async def jwks(request: web.Request) -> web.StreamResponse:
        return await published("jwks", KeySet(keys).as_dict(private=False))

    async def published(kind: str, document: Any) -> web.StreamResponse:
        await asyncio.sleep(said.get("delay_s", 0))
        headers = {"Location": said["location"]} if "location" in said else {}
        return web.json_response(said.get(kind, document), status=said.get("status", 200), headers=headers)

    async def mint(request: web.Request) -> web.Response:
        wanted = await request.json()
        header = {"alg": "ES256", "typ": "at+jwt", "kid": keys[-1].kid} | wanted["header"]
        header = {name: value for name, value in header.items() if value is not None}
        signed = ".".join(as_base64(json.dumps(part).encode()) for part in (header, wanted["claims"]))
        # Without what jws.serialize_compact looks at first: tokens are wanted that it would not make.
        signature = jws.JWSRegistry.algorithms["ES256"].sign(signed.encode(), keys[-1])
        return web.json_response({"token": f"{signed}.{as_base64(signature)}"})

    async def rotate(request: web.Request) -> web.Response:
        if not (await request.json())["keeps_old"]:
            keys.clear()
        keys.append(ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True))
        return web.json_response({})

    async def publish(request: web.Request) -> web.Response:
        said.clear()
        said.update(await request.json())
        return web.json_response({})

    async def times(request: web.Request) -> web.Response:
        return web.json_response({"times": asked.get((await request.json())["path"], 0)})

    @web.middleware
    async def counting(request: web.Request, handler: Any) -> web.StreamResponse:
        asked[request.path] = asked.get(request.path, 0) + 1
        answered: web.StreamResponse = await handler(request)
        return answered

    async def serve() -> None:
        nonlocal issuer, server
        app = web.Application(middlewares=[counting])
        app.router.add_get("/.well-known/oauth-authorization-server", metadata)
        app.router.add_get("/jwks", jwks)
        app.router.add_post("/token", token)
        for name, door in {"token": mint, "rotate": rotate, "publish": publish, "asked": times}.items():
            app.router.add_post(f"/test/{name}", door)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
        server.register_grant(ClientCredentialsGrant)
        server.register_token_generator("default", Tokens(issuer, alg="ES256"))
        print(issuer, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()

    server = Server(scopes_supported=["mcp:use", "mcp:review"])
    asyncio.run(serve())


if __name__ == "__main__":
    main()
