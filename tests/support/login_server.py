"""An MCP server that wants tokens, and the authorization server that has them: a process, two ports.

The grants are Authlib's (RFC 6749 with PKCE, refresh tokens that are used once); registration, metadata and the
MCP server are written here. Everybody who comes to the login page is let in, and any document can be made to
say anything.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from urllib.request import Request, urlopen

Json = dict[str, Any]
ROBOT, ROBOT_SECRET = "robot", "s3cret-of-the-robot"
RESOURCE_METADATA = "/.well-known/oauth-protected-resource/mcp"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
FORMS = ("/token", "/revoke")
AT_SERVER, AT_ISSUER = "server", "issuer"


class LoginServer:
    """The tests' side of it."""

    def __init__(self, issuer: str, server: str) -> None:
        self.issuer = issuer
        self.url = f"{server}/mcp"
        self.server = server

    def rules(self, **rules: Any) -> None:
        """`lifetime_s` of tokens; `scope` that everything needs; `tool_scope` that a call needs;
        `grants_tool_scope`; `takes_tokens`; `iss` of answers; `registers`; `metadata` that are other;
        `resource` that tokens are for; `hints` of the tool.
        """
        self._ask("rules", rules)

    def says(self, path: str, **answer: Any) -> None:
        """What a path answers instead: `json`, `status`, `location`, `delay_s`, `size`; nothing: as before.

        `only`: to requests with this in their body.
        """
        self._ask("says", {"path": path, **answer})

    def revoke(self, *kinds: str) -> None:
        """Tokens of these kinds are good no more: access, refresh."""
        self._ask("revoke", {"kinds": kinds})

    def taken(self, token: str) -> bool:
        """Whether a token, of either kind, is good here."""
        return bool(self._ask("taken", {"token": token})["taken"])

    def seen(self, path: str) -> list[Json]:
        """Each request to a path: `query`, `form`, `authorization`, `method` (of MCP)."""
        return list(self._ask("seen", {"path": path}))

    def _ask(self, door: str, body: Any) -> Any:
        request = Request(f"{self.issuer}/test/{door}", json.dumps(body).encode())
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)


@contextmanager
def login_server() -> Iterator[LoginServer]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.login_server"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"},
    )
    try:
        assert process.stdout is not None
        yield LoginServer(*json.loads(process.stdout.readline()))
    finally:
        # The end of its stdin is the end of it, also if the tests are killed.
        process.communicate(timeout=20)


# --- the process ----------------------------------------------------------------------------------------------


@dataclass
class State:
    issuer: str = ""
    server: str = ""
    clients: dict[str, Json] = field(default_factory=dict)
    codes: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Json] = field(default_factory=dict)
    refresh: dict[str, Json] = field(default_factory=dict)
    rules: Json = field(default_factory=dict)
    says: dict[str, Json] = field(default_factory=dict)
    seen: list[Json] = field(default_factory=list)


def main() -> None:
    asyncio.run(serve())


async def serve() -> None:
    from aiohttp import web

    state = State()
    state.clients[ROBOT] = {"client_secret": ROBOT_SECRET, "method": "client_secret_basic", "redirect_uris": []}
    framework = grants(state)

    @web.middleware
    async def noting(request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.read()
        state.seen.append(
            {
                "path": request.path,
                "query": dict(request.query),
                "form": dict(parse_qsl(body.decode(errors="replace"))) if request.path in FORMS else {},
                "json": _json(body) if request.path in ("/register", "/mcp") else None,
                "authorization": request.headers.get("Authorization", ""),
                "headers": dict(request.headers),
            }
        )
        said = state.says.get(request.path)
        if said is None or said.get("only", "") not in body.decode(errors="replace"):
            answered: web.StreamResponse = await handler(request)
            return answered
        await asyncio.sleep(said.get("delay_s", 0))
        headers = {"Location": said["location"]} if "location" in said else {}
        if "size" in said:
            return web.Response(body=b" " * said["size"], content_type="application/json", headers=headers)
        return web.json_response(said.get("json"), status=said.get("status", 200), headers=headers)

    issuer_app, server_app = web.Application(middlewares=[noting]), web.Application(middlewares=[noting])
    Doors(state, framework).add_to(issuer_app)
    Guarded(state).add_to(server_app)
    runners = [web.AppRunner(app) for app in (issuer_app, server_app)]
    urls = []
    for runner in runners:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
    state.issuer, state.server = urls
    print(json.dumps(urls), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for runner in runners:
        await runner.cleanup()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def grants(state: State) -> Any:
    """Authlib's part."""
    from aiohttp import web
    from authlib.oauth2.rfc6749 import AuthorizationServer as Framework
    from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request, TokenMixin
    from authlib.oauth2.rfc6749 import grants as kinds
    from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
    from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
    from authlib.oauth2.rfc7009 import RevocationEndpoint
    from authlib.oauth2.rfc7636 import CodeChallenge

    class Known(ClientMixin):
        def __init__(self, client_id: str, entry: Json) -> None:
            self.client_id, self.entry = client_id, entry

        def get_client_id(self) -> str:
            return self.client_id

        def get_default_redirect_uri(self) -> str:
            return ""

        def get_allowed_scope(self, scope: str) -> str:
            return scope or ""

        def check_redirect_uri(self, redirect_uri: str) -> bool:
            return redirect_uri in self.entry["redirect_uris"]

        def check_client_secret(self, client_secret: str) -> bool:
            return client_secret == self.entry["client_secret"]

        def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
            return method == self.entry["method"]

        def check_response_type(self, response_type: str) -> bool:
            return response_type == "code"

        def check_grant_type(self, grant_type: str) -> bool:
            return True

    class Code(AuthorizationCodeMixin):
        def __init__(self, payload: Any, client_id: str) -> None:
            self.client_id, self.resource = client_id, payload.data.get("resource", "")
            self.redirect_uri, self.scope = payload.redirect_uri, payload.scope or ""
            self.code_challenge = payload.data.get("code_challenge")
            self.code_challenge_method = payload.data.get("code_challenge_method")

        def get_redirect_uri(self) -> str:
            return str(self.redirect_uri)

        def get_scope(self) -> str:
            return str(self.scope)

    class Renewing(TokenMixin):
        def __init__(self, text: str, entry: Json) -> None:
            self.text, self.entry = text, entry

        def get_scope(self) -> str:
            return str(self.entry["scope"])

        def get_client(self) -> Any:
            return Known(self.entry["client_id"], state.clients[self.entry["client_id"]])

        def check_client(self, client: Any) -> bool:
            return bool(self.entry["client_id"] == client.get_client_id())

        def is_expired(self) -> bool:
            return False

        def is_revoked(self) -> bool:
            return False

    methods = ["none", "client_secret_basic", "client_secret_post"]

    class CodeGrant(kinds.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = methods

        def save_authorization_code(self, code: str, request: Any) -> None:
            state.codes[code] = Code(request.payload, request.client.get_client_id())

        def query_authorization_code(self, code: str, client: Any) -> Any:
            found = state.codes.get(code)
            return found if found is not None and found.client_id == client.get_client_id() else None

        def delete_authorization_code(self, authorization_code: Any) -> None:
            state.codes = {key: each for key, each in state.codes.items() if each is not authorization_code}

        def authenticate_user(self, authorization_code: Any) -> str:
            return "ann"

    class RefreshGrant(kinds.RefreshTokenGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = methods
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token: str) -> Any:
            entry = state.refresh.get(refresh_token)
            return None if entry is None else Renewing(refresh_token, entry)

        def authenticate_user(self, refresh_token: Any) -> str:
            return "ann"

        def revoke_old_credential(self, refresh_token: Any) -> None:
            state.refresh.pop(refresh_token.text, None)

    class Asked(OAuth2Request):  # type: ignore[misc]
        given: Json

        @property
        def form(self) -> Json:
            return self.given

        @property
        def args(self) -> Json:
            return self.given

    class Server(Framework):  # type: ignore[misc]
        def query_client(self, client_id: str) -> Any:
            entry = state.clients.get(client_id)
            return None if entry is None else Known(client_id, entry)

        def save_token(self, token: Json, request: Any) -> None:
            form = request.payload.data
            entry = {
                "client_id": request.client.get_client_id(),
                "scope": token.get("scope", ""),
                "resource": state.rules.get("resource", form.get("resource", "")),
                "until": time.time() + token["expires_in"],
            }
            state.tokens[token["access_token"]] = entry
            if "refresh_token" in token:
                state.refresh[token["refresh_token"]] = entry

        def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
            """Nobody listens."""

        def create_oauth2_request(self, request: Any) -> OAuth2Request:
            made = Asked(request["method"], request["uri"], headers=request["headers"])
            made.given = request["form"]
            made.payload = BasicOAuth2Payload(request["form"])
            return made

        def handle_response(self, status: int, body: Any, headers: Any) -> web.Response:
            if isinstance(body, dict):
                return web.json_response(body, status=status)
            return web.Response(status=status, headers=dict(headers))

    def bearer(grant_type: str, client: Any, user: Any = None, scope: str = "", **more: Any) -> Json:
        token = {
            "access_token": f"access-{secrets.token_urlsafe(16)}",
            "token_type": "Bearer",
            "expires_in": state.rules.get("lifetime_s", 600),
            "scope": _granted(scope or "", state),
        }
        if more.get("include_refresh_token", True) and grant_type != "client_credentials":
            token["refresh_token"] = f"refresh-{secrets.token_urlsafe(16)}"
        return token

    class Revocation(RevocationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = methods

        def query_token(self, token_string: str, token_type_hint: str) -> Any:
            for kept in (state.tokens, state.refresh):
                if token_string in kept:
                    return Renewing(token_string, kept[token_string])
            return None

        def revoke_token(self, token: Any, request: Any) -> None:
            state.tokens.pop(token.text, None)
            state.refresh.pop(token.text, None)

    framework = Server(scopes_supported=None)
    framework.register_endpoint(Revocation)
    framework.register_grant(CodeGrant, [CodeChallenge(required=True)])
    framework.register_grant(RefreshGrant)
    framework.register_grant(kinds.ClientCredentialsGrant)
    framework.register_token_generator("default", bearer)
    return framework


def _granted(scope: str, state: State) -> str:
    never = None if state.rules.get("grants_tool_scope", True) else state.rules.get("tool_scope")
    return " ".join(each for each in scope.split() if each != never)


class Doors:
    """The authorization server, and the doors for tests."""

    def __init__(self, state: State, framework: Any) -> None:
        self._state = state
        self._framework = framework

    def add_to(self, app: Any) -> None:
        app.router.add_get(SERVER_METADATA, self.metadata)
        app.router.add_get("/authorize", self.authorize)
        app.router.add_post("/token", self.token)
        app.router.add_post("/register", self.register)
        app.router.add_post("/revoke", self.revoke)
        for name in ("rules", "says", "revoke", "taken", "seen"):
            app.router.add_post(f"/test/{name}", getattr(self, f"test_{name}"))

    async def metadata(self, request: Any) -> Any:
        from aiohttp import web

        issuer = self._state.issuer
        document = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "registration_endpoint": f"{issuer}/register",
            "revocation_endpoint": f"{issuer}/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        if not self._state.rules.get("registers", True):
            del document["registration_endpoint"]
        changed = self._state.rules.get("metadata", {})
        return web.json_response({k: v for k, v in (document | changed).items() if v is not None})

    async def authorize(self, request: Any) -> Any:
        from aiohttp import web

        asking = {"method": "GET", "uri": str(request.url), "headers": dict(request.headers)}
        grant = self._framework.get_consent_grant(asking | {"form": dict(request.query)}, end_user="ann")
        answered = self._framework.create_authorization_response(grant.request, grant_user="ann", grant=grant)
        location = answered.headers["Location"]
        iss = self._state.rules.get("iss", self._state.issuer)
        return web.Response(status=302, headers={"Location": f"{location}&iss={iss}" if iss else location})

    async def token(self, request: Any) -> Any:
        form = dict(parse_qsl((await request.read()).decode()))
        uri = f"{self._state.issuer}/token"
        asking = {"method": "POST", "uri": uri, "headers": dict(request.headers), "form": form}
        return self._framework.create_token_response(asking)

    async def revoke(self, request: Any) -> Any:
        form = dict(parse_qsl((await request.read()).decode()))
        uri = f"{self._state.issuer}/revoke"
        asking = {"method": "POST", "uri": uri, "headers": dict(request.headers), "form": form}
        return self._framework.create_endpoint_response("revocation", asking)

    async def register(self, request: Any) -> Any:
        from aiohttp import web

        wanted = await request.json()
        client_id, method = f"client-{secrets.token_hex(4)}", wanted["token_endpoint_auth_method"]
        secret = secrets.token_urlsafe(16)
        self._state.clients[client_id] = {
            "client_secret": secret,
            "method": method,
            "redirect_uris": wanted["redirect_uris"],
        }
        told = {"client_id": client_id, **wanted} | ({} if method == "none" else {"client_secret": secret})
        return web.json_response(told, status=201)

    async def test_rules(self, request: Any) -> Any:
        self._state.rules.update(await request.json())
        return _fine()

    async def test_says(self, request: Any) -> Any:
        said = await request.json()
        path = said.pop("path")
        self._state.says.pop(path, None)
        if said:
            self._state.says[path] = said
        return _fine()

    async def test_revoke(self, request: Any) -> Any:
        kinds = (await request.json())["kinds"]
        if "access" in kinds:
            self._state.tokens.clear()
        if "refresh" in kinds:
            self._state.refresh.clear()
        return _fine()

    async def test_taken(self, request: Any) -> Any:
        from aiohttp import web

        token = (await request.json())["token"]
        return web.json_response({"taken": token in self._state.tokens or token in self._state.refresh})

    async def test_seen(self, request: Any) -> Any:
        from aiohttp import web

        path = (await request.json())["path"]
        return web.json_response([each for each in self._state.seen if each["path"] == path])


def _fine() -> Any:
    from aiohttp import web

    return web.json_response({})


class Guarded:
    """The MCP server of 2026-07-28, with one tool."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add_to(self, app: Any) -> None:
        app.router.add_get(RESOURCE_METADATA, self.metadata)
        app.router.add_post("/mcp", self.mcp)

    async def metadata(self, request: Any) -> Any:
        from aiohttp import web

        return web.json_response(
            {"resource": f"{self._state.server}/mcp", "authorization_servers": [self._state.issuer]}
        )

    async def mcp(self, request: Any) -> Any:
        from aiohttp import web

        message = await request.json()
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        token = self._state.tokens.get(text) if scheme == "Bearer" else None
        where = f'resource_metadata="{self._state.server}{RESOURCE_METADATA}"'
        needed = self._state.rules.get("scope", "mcp:use")
        is_good = token is not None and token["until"] > time.time()
        is_good = is_good and token is not None and token["resource"] == f"{self._state.server}/mcp"
        if not is_good or not self._state.rules.get("takes_tokens", True):
            challenge = f'Bearer {where}, scope="{needed}"' + (', error="invalid_token"' if text else "")
            return web.json_response({}, status=401, headers={"WWW-Authenticate": challenge})
        assert token is not None
        wanted = self._state.rules.get("tool_scope") if message["method"] == "tools/call" else needed
        if wanted and wanted not in token["scope"].split():
            challenge = f'Bearer error="insufficient_scope", scope="{wanted}", {where}'
            return web.json_response({}, status=403, headers={"WWW-Authenticate": challenge})
        result = {"resultType": "complete", **_answer(message["method"], self._state.rules.get("hints", {}))}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})


def _answer(method: str, hints: Json) -> Json:
    if method == "server/discover":
        return {
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            "ttlMs": 0,
            "cacheScope": "public",
        }
    if method == "tools/list":
        tool = {"name": "t", "inputSchema": {"type": "object"}, "annotations": hints}
        return {"tools": [tool], "ttlMs": 0, "cacheScope": "public"}
    return {"content": [{"type": "text", "text": "done"}]}


if __name__ == "__main__":
    main()
