"""The frozen picture of a running gateway: all that a screen, the CLI or the admin API may see.

Text that came from a backend or a client is held as it came; whoever draws it makes it safe first.
Times named `_at` are `Clock.monotonic()` seconds; `Snapshot.at` is the "now" to subtract them from.
"""

from enum import StrEnum

from msgspec import Struct, field

from proxy_core.telemetry.context_bill import ContextTotals, Cost
from proxy_core.telemetry.savings import Savings
from proxy_core.telemetry.tool_changes import ToolChange


class ServerState(StrEnum):
    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    DRAINED = "drained"
    RESTARTING = "restarting"
    FAILED = "failed"
    AUTH_REQUIRED = "auth_required"
    DISABLED = "disabled"


class BreakerState(StrEnum):
    """Whether calls reach a server that is connected; never one of its states."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Action(StrEnum):
    """What a new configuration does to a server or a replica."""

    ADD = "add"
    KEEP = "keep"
    UPDATE = "update"
    """Its settings change, its connections and calls stay."""
    REPLACE = "replace"
    """A new one starts first, then the old one drains."""
    DRAIN = "drain"
    """No longer configured, or switched off: it drains and goes."""
    START = "start"
    """Switched on."""


class Probe(Struct, frozen=True):
    """One probe of a replica."""

    at: float
    latency_ms: float | None
    """How long it took, also where it failed; None if nothing was asked."""
    error: str | None
    """None if it answered."""
    code: int | None = None
    """The HTTP status or JSON-RPC error code that was answered, if that is what failed."""


class Latency(Struct, frozen=True):
    """Milliseconds over the last minute; None without a call in it."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class DescendantRow(Struct, frozen=True):
    """A process that a child of ours started, or one that such a process started."""

    pid: int
    parent: int
    """Process id of the one that started it; of the child, if that one has ended."""
    name: str
    rss_bytes: int = 0


class ChildRow(Struct, frozen=True):
    """A child process of ours and all that descends from it, as last sampled."""

    pid: int
    replica: str
    client: str
    """Whose it is alone: a principal, or a principal and one of its sessions; empty: everybody's."""
    started_at: float
    rss_bytes: int = 0
    """Of the child and its descendants."""
    cpu_percent: float = 0.0
    """Of one core, since the sample before."""
    descendants: tuple[tuple[int, str], ...] = ()
    """Process id and name of each."""
    own_rss_bytes: int = 0
    """Of the child alone."""
    threads: int = 0
    """Of the child alone; 0 where the system does not tell."""
    files: int | None = None
    """Descriptors that the child alone has open; None where the system does not tell."""
    family: tuple[DescendantRow, ...] = ()
    """What descends from it, each after its parent, as far as it is named in `descendants`."""


class OrphanRow(Struct, frozen=True):
    """A process that a gateway started which is gone, and that is still there."""

    pid: int
    name: str
    """As it calls itself."""
    age_s: float
    rss_bytes: int = 0


class Change(Struct, frozen=True):
    """A server or one of its replicas came into another state, or its breaker turned."""

    at: float
    replica: str
    """Empty: the server itself."""
    what: str
    """state or breaker"""
    now: str
    """What it is since then: a `ServerState` or a `BreakerState`."""
    before: str = ""
    """The state before; empty for a breaker."""
    reason: str = ""
    """A person's words; holds untrusted text."""


class ProbedReplica(Struct, frozen=True):
    """The last probes of one replica, oldest first."""

    replica: str
    probes: tuple[Probe, ...] = ()


class ReplicaRow(Struct, frozen=True):
    """One replica of a server."""

    id: str
    state: ServerState
    reason: str
    address: str
    """The command line or URL, secrets masked."""
    transport: str
    since_at: float
    weight: int = 1
    era: str | None = None
    revision: str | None = None
    pid: int | None = None
    restarts: int = 0
    retry_at: float | None = None
    """When the next start is tried, while it waits for one."""
    in_flight: int = 0
    calls: int = 0
    """That were given to it, since it was configured."""
    failures: int = 0
    """Of those, failed for its fault."""
    tools: int = 0
    probe: Probe | None = None
    breaker: BreakerState = BreakerState.CLOSED
    breaker_retry_at: float | None = None
    drain_until: float | None = None
    """While it drains: when it stops waiting for the calls in flight."""
    is_leaving: bool = False
    """It is no longer configured and goes as soon as its calls are over."""
    drill: str = ""
    """The fault that is made on purpose, as `delay 500 ms, 42 s left`; empty: none."""


class ServerRow(Struct, frozen=True):
    """One configured server."""

    id: str
    name: str
    state: ServerState
    reason: str
    """Why it is in this state, a person's words, one line; empty when all is well."""
    transport: str
    """stdio, http or sse"""
    address: str
    """The command line or URL, secrets masked."""
    since_at: float
    """When it entered this state."""
    era: str | None = None
    """legacy or modern, once known."""
    revision: str | None = None
    server_info: str = ""
    """What the server calls itself, name and version: display only."""
    pid: int | None = None
    restarts: int = 0
    retry_at: float | None = None
    """When the next start is tried, while it waits for one."""
    tools: int = 0
    resources: int = 0
    templates: int = 0
    prompts: int = 0
    in_flight: int = 0
    calls: int = 0
    """tools/call, prompts/get, resources/read and completion/complete since start."""
    errors: int = 0
    """Of those, answered with a JSON-RPC error that is not the client's fault."""
    calls_per_s: float = 0.0
    """Over the last ten seconds."""
    errors_per_s: float = 0.0
    latency: Latency = Latency()
    last_error: str = ""
    probe: Probe | None = None
    breaker: BreakerState = BreakerState.CLOSED
    """Open: it fails too often to be asked; half open: a few calls try it."""
    breaker_retry_at: float | None = None
    """When an open one lets the first of those through."""
    replicas: tuple[ReplicaRow, ...] = ()
    """In configuration order, those that are leaving last. One, called `main`, where none are configured."""
    balance: str = ""
    """How calls are spread over the replicas."""
    differences: tuple[str, ...] = ()
    """What some replicas list and others do not, a sentence each."""
    drain_until: float | None = None
    """While it drains: when it stops waiting for the calls in flight."""
    is_remembered: bool = False
    """Its lists are those of an earlier run, until it answers."""
    queued: int = 0
    """Calls that wait for a free place."""
    retries: int = 0
    """Repeats of calls that failed, since start."""
    processes: tuple[ChildRow, ...] = ()
    stderr_lines: int = 0
    """That its processes wrote, of which its detail has the last ones."""
    tokens: Cost | None = None
    """What its listed tools cost a model: compact where that mode is in force, else full. None: not counted."""
    drill: str = ""
    """The fault that is made on purpose at one or all of its replicas; empty: none."""
    changed: int = 0
    """Tools that are not what was approved or first seen, or that are new and withheld."""
    withheld: int = 0
    """Of those, withheld from clients until somebody approves them."""
    naming: int = 0
    """Tools whose texts name tools of other servers."""
    login: str = ""
    """Why a person has to log in there, in words; empty: nobody has to."""


class ClientRow(Struct, frozen=True):
    """One client as it calls itself, by principal and revision."""

    name: str
    """Self-reported: display only. Empty if it did not say."""
    principal: str
    era: str
    """legacy or modern"""
    revision: str
    requests: int
    """Of every method, since start."""
    last_at: float
    calls: tuple[tuple[str, int], ...] = ()
    """Server and how many calls reached it."""


class Totals(Struct, frozen=True):
    """The whole gateway."""

    calls: int = 0
    errors: int = 0
    calls_per_s: float = 0.0
    """Every request of a client, lists and handshakes included, over the last ten seconds."""
    errors_per_s: float = 0.0
    in_flight: int = 0
    latency: Latency = Latency()
    sessions: int = 0
    """Legacy sessions that are open."""
    streams: int = 0
    """GET streams and listens that are open."""
    loop_lag_p99_ms: float = 0.0
    tokens_served: int = 0
    """Visible tokens of the lists of tools that clients were answered, since start: the whole list for each
    request of its first page. A list is added once its tokens were counted."""


class Notice(Struct, frozen=True):
    """A sentence for the banner: what happened, where, what to do."""

    level: str
    """info, warning or error"""
    text: str


class ConfigStatus(Struct, frozen=True):
    """The configuration in force, and what its file says now."""

    version: int = 1
    """Grows with every configuration that was put in force."""
    digest: str = ""
    """Of the file that is in force, a few characters; empty without a file."""
    applied_at: float = 0.0
    errors: int = 0
    """Reloads that were refused, since start."""
    error: str | None = None
    """Why the file as it is now is not in force; None if it is, or waits."""
    is_waiting: bool = False
    """The file says something else, and a person has to confirm it (reload.confirm)."""
    can_roll_back: bool = False


class OpenQuestion(Struct, frozen=True):
    """What a server asks during a call, and its client cannot be asked: whoever watches may answer."""

    id: str
    server: str
    client: str
    """Self-reported: display only."""
    principal: str
    target: str
    """What was called, by its exposed name."""
    message: str
    mode: str
    """form or url"""
    schema: str = ""
    """JSON text of the form's flat schema; see `proxy_core.forms`."""
    url: str = ""
    """Of the page to be visited, as the server gave it. Never opened by us."""
    asked_at: float = 0.0
    until: float = 0.0
    """When the server is told that nobody answered."""


class AuditStatus(Struct, frozen=True):
    """How it is about the lines that say who did what."""

    written: int = 0
    """Since the start, as all here."""
    lost: int = 0
    shut_out: int = 0
    """Calls that were refused because no line could be written."""
    failing: str = ""
    """Why none can be written now."""
    is_shut: bool = False
    """Calls are refused for it."""


class Snapshot(Struct, frozen=True):
    seq: int
    """Grows with every change; equal numbers mean equal pictures."""
    at: float
    wall: float
    """Epoch seconds that belong to `at`."""
    started_at: float
    version: str
    url: str
    """Where clients connect; empty before the listener is up."""
    config_path: str | None
    """None: no config file, the demo servers run."""
    demo: bool
    servers: tuple[ServerRow, ...] = ()
    clients: tuple[ClientRow, ...] = ()
    """The one seen last is first."""
    totals: Totals = Totals()
    notices: tuple[Notice, ...] = ()
    config: ConfigStatus = ConfigStatus()
    savings: Savings = field(default_factory=Savings)
    context: ContextTotals | None = None
    """None until the lists were counted for the first time."""
    stale_since: float | None = None
    """When a gateway elsewhere was lost, `at` at that moment: all is as it was then. None while it is heard."""
    questions: tuple[OpenQuestion, ...] = ()
    """Those that wait for an operator, the oldest first (elicitation.answer_in_terminal)."""
    drills_allowed: bool = False
    """Whether faults may be made on purpose (tui.fault_drills)."""
    audit: AuditStatus | None = None
    """None: there is no audit."""


class NamedItem(Struct, frozen=True):
    """A tool, resource, template or prompt as clients see it."""

    kind: str
    """tool, resource, template or prompt"""
    name: str
    """The exposed name or URI."""
    origin: str
    """The server's own name for it."""
    server: str
    title: str = ""
    description: str = ""
    arguments: tuple[tuple[str, bool], ...] = ()
    """Argument name and whether it is required: tools and prompts."""
    read_only: bool = False
    """A tool of which its server says that it changes nothing (`readOnlyHint`); its word alone."""


class ServerDetail(Struct, frozen=True):
    """What only the detail view of one server needs; asked for by id."""

    row: ServerRow
    items: tuple[NamedItem, ...] = ()
    stderr: tuple[str, ...] = ()
    """The last lines of a child's stderr, oldest first."""
    settings: tuple[tuple[str, str], ...] = ()
    """Its configuration, secrets masked."""
    instructions: str = ""
    hidden: tuple[tuple[str, str], ...] = ()
    """Names left out of the lists, with the reason."""
    destructive: tuple[str, ...] = ()
    """Exposed names of tools that say (`destructiveHint`) that they may destroy something."""
    version: int = 0
    """Of `items`, `hidden` and `destructive`: as long as it is the same, they are."""
    stderr_seq: int = 0
    """Lines that its children have written so far: the last of `stderr` is that many-th."""
    changes: tuple[Change, ...] = ()
    """How it came to be in this state, oldest first; the last few alone."""
    probes: tuple[ProbedReplica, ...] = ()
    """In the order of `row.replicas`."""
    defaults: tuple[tuple[str, str], ...] = ()
    """Settings that the configuration does not name, as they are."""
    tool_changes: tuple[ToolChange, ...] = ()
    """What nobody has approved, by name; the first of them, `row.changed` says how many there are."""
    naming: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Its own name of each tool whose texts name tools of other servers, and what they name; the first ones."""


class LogLine(Struct, frozen=True):
    """One line of the log ring."""

    wall: float
    level: str
    """debug, info, warning or error"""
    source: str
    """A server's id, or the room that spoke."""
    text: str
    fields: tuple[tuple[str, str], ...] = field(default=())
