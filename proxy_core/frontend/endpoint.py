"""The MCP endpoint: guards first, then who asks, then HTTP method and era, then whoever serves that.

The one object that a listener sees. Knows no sockets.
Spec: 2026-07-28 basic/transports/streamable-http; basic/versioning, "Backward Compatibility".
"""

from typing import Final

from msgspec import Struct

from proxy_core.access.audit.audit import Audit
from proxy_core.errors import HttpRefusal
from proxy_core.frontend import cors
from proxy_core.frontend.guards import Guard, declared_length
from proxy_core.frontend.keys_wanted import KeysWanted
from proxy_core.frontend.legacy import LegacyEra
from proxy_core.frontend.modern import ModernEra
from proxy_core.frontend.principals import Principals
from proxy_core.frontend.profile_gate import ProfileGate
from proxy_core.frontend.refused_heads import refusal_of
from proxy_core.frontend.responses import ACCEPTED, http_refusal, refused
from proxy_core.frontend.sse_front import SseFront
from proxy_core.frontend.wire import (
    Begun,
    HeaderList,
    OpenStream,
    Ready,
    Served,
    Streamed,
    WireAnswer,
    WireHead,
    WireReply,
    WireRequest,
    WireStream,
)
from proxy_core.protocol import direct_request
from proxy_core.protocol.classify import LegacyPost, ModernNotification, ModernRequest, Refused, classify_post
from proxy_core.protocol.headers import MCP_PROTOCOL_VERSION
from proxy_core.protocol.revisions import LEGACY_REVISIONS, MODERN

MAX_WAITING_BYTES: Final = 65_536
"""Of the body of a request whose token cannot be judged yet; nobody knows who sends it."""


class Rules(Struct, frozen=True, eq=False):
    """By which requests are let in. One that was let in by others is judged anew."""

    guard: Guard
    principals: Principals
    profiles: ProfileGate


class McpEndpoint:
    def __init__(
        self,
        rules: Rules,
        modern: ModernEra,
        legacy: LegacyEra,
        sse: SseFront,
    ) -> None:
        self._rules = rules
        self.audit: Audit | None = None
        """Where it is told who was not let in, if anywhere."""
        self.is_stopping = False
        """Set once, when no new work is taken; connections that are open may still ask."""
        self._modern = modern
        self._legacy = legacy
        self._sse = sse

    @property
    def guard(self) -> Guard:
        return self._rules.guard

    @property
    def principals(self) -> Principals:
        return self._rules.principals

    @property
    def profiles(self) -> ProfileGate:
        return self._rules.profiles

    def use(
        self,
        *,
        guard: Guard | None = None,
        principals: Principals | None = None,
        profiles: ProfileGate | None = None,
    ) -> None:
        """Let in by these from now on."""
        rules = self._rules
        self._rules = Rules(
            rules.guard if guard is None else guard,
            rules.principals if principals is None else principals,
            rules.profiles if profiles is None else profiles,
        )

    @property
    def max_body_bytes(self) -> int:
        return self.guard.max_body_bytes

    def admit(self, head: WireHead) -> WireReply | None:
        if self._is_known(head) and not self.is_stopping:
            # The very same head, by the very same rules.
            return None
        refusal = self.guard.refusal(head, self._refusal_at_first)
        if refusal is None and self.is_stopping:
            refusal = HttpRefusal(503, "The gateway is stopping.", {"Connection": "close"})
        return None if refusal is None else self.refuse(head, refusal)

    def _refusal_at_first(self, head: WireHead) -> HttpRefusal | None:
        """As `_strangers_refusal`, but that whoever must wait for keys may send a small body meanwhile."""
        refusal = self._strangers_refusal(head)
        if not isinstance(refusal, KeysWanted):
            return refusal
        is_small = declared_length(head.values.get("content-length", "")) <= MAX_WAITING_BYTES
        return None if is_small and "transfer-encoding" not in head.values else refusal

    def _strangers_refusal(self, head: WireHead) -> HttpRefusal | None:
        if head.method == "OPTIONS":
            # A browser asks before it sends credentials, and asks without them (Fetch, "CORS-preflight fetch").
            return None
        named = self.guard.profile_in(head.path) or ""
        # First of all: one head may come again and again, and what let it in once must not help it now.
        head.admitted_by = head.credential = None
        try:
            head.principal = self.principals.identify(head)
            head.profile = self.profiles.profile_for(head.principal, named, head.credential)
        except HttpRefusal as refusal:
            return refusal
        head.admitted_by = self._rules
        return None

    async def _refusal_at_last(self, head: WireHead) -> HttpRefusal | None:
        refusal = self._strangers_refusal(head)
        if isinstance(refusal, KeysWanted):
            await refusal.keys.obtain()
            refusal = self._strangers_refusal(head)
        return refusal

    def _is_known(self, head: WireHead) -> bool:
        credential = head.credential
        return head.admitted_by is self._rules and (credential is None or credential.is_good())

    def refuse(self, head: WireHead, refusal: HttpRefusal) -> WireReply:
        if self.audit is not None:
            self.audit.refused(refusal_of("mcp", head, refusal))
        reply = http_refusal(refusal)
        origin = head.values.get("origin")
        if origin is None or not self.guard.allows_origin(origin):
            return reply
        return WireReply(reply.status, [*reply.headers, *cors.answer_headers(head)], reply.body)

    def begin(self, head: WireHead, body: bytes, served: Served) -> Begun | Ready | WireReply | None:
        routed = head.direct
        if routed is None:
            # Looked at once: clients send the same head again and again.
            routed = None if "origin" in head.values else _direct(head)
            head.direct = routed or False
        if not routed or not self._is_known(head):
            return None
        if isinstance(routed, direct_request.Routed):
            direct = direct_request.read(body, routed)
            return None if direct is None else self._modern.begin(head, routed, direct, served)
        assert isinstance(routed, str)
        return self._legacy.begin(head, routed, body, served)

    async def answer(self, request: WireRequest) -> WireAnswer:
        head = request.head
        if not self._is_known(head) and (refusal := await self._refusal_at_last(head)) is not None:
            # Token or profile were taken back while the body came: what this would open, nobody would end.
            return self.refuse(head, refusal)
        extra = cors.answer_headers(request.head)
        if not extra:
            return await self._route(request)
        request.open_stream = _opening_with(extra, request.open_stream)
        answer = await self._route(request)
        if isinstance(answer, Streamed):
            return answer
        return WireReply(answer.status, [*answer.headers, *extra], answer.body)

    async def _route(self, request: WireRequest) -> WireAnswer:
        method = request.head.method
        if method == "OPTIONS":
            return cors.preflight(request.head)
        if self.guard.profile_in(request.head.path) is None:
            return await self._sse.answer(request)
        if method == "POST":
            return await self._post(request)
        if (refusal := _version_refusal(request.head)) is not None:
            return http_refusal(refusal)
        if method == "GET":
            return await self._legacy.answer_get(request)
        return self._legacy.answer_delete(request.head)

    async def _post(self, request: WireRequest) -> WireAnswer:
        match classify_post(request.head.headers, request.body):
            case ModernRequest() as posted:
                return await self._modern.answer(request, posted)
            case LegacyPost() as posted:
                return await self._legacy.answer_post(request, posted)
            case ModernNotification():
                # Over HTTP a modern client cancels by hanging up; no notification of its has an effect.
                return ACCEPTED
            case Refused(is_array=True) as refusal:
                return await self._legacy.answer_array(request, refusal)
            case Refused() as refusal:
                return refused(refusal)


def _direct(head: WireHead) -> direct_request.Routed | str | None:
    """What a request with this head is routed by, or its session, if it may be served in no task."""
    return direct_request.routed_by(head.headers) or direct_request.session_of(head.headers)


def _version_refusal(head: WireHead) -> HttpRefusal | None:
    """GET and DELETE are of the legacy era alone."""
    version = head.values.get(MCP_PROTOCOL_VERSION)
    if version is None or version in LEGACY_REVISIONS:
        return None
    if version == MODERN:
        return HttpRefusal(405, "This revision is served by POST alone.", {"Allow": "POST"})
    return HttpRefusal(400, "Unsupported protocol version.")


def _opening_with(extra: HeaderList, open_stream: OpenStream) -> OpenStream:
    async def opened(status: int, headers: HeaderList) -> WireStream:
        return await open_stream(status, [*headers, *extra])

    return opened
