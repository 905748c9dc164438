"""Who may have what: everything that a configuration says about servers and names, compiled once.

The one place where that is evaluated, for lists, routes, subscriptions and the audit alike. Pure: rules and
names in, an answer and the rule that gave it out. What is withheld because it changed is not known here.
"""

from typing import Final

from msgspec import Struct

from proxy_core.catalog.aliases import alias_of, split_alias
from proxy_core.catalog.names import SEPARATOR, slug_of
from proxy_core.catalog.rules import Decision, GlobRules, Globs, Matcher, decided
from proxy_core.catalog.uri_forms import forms_of
from proxy_core.config.models import Config, NameRules, ProfileConfig, ServerConfig, TokenConfig

EVERYTHING: Final = ""
"""No profile."""
NO_RULE: Final = "everything"
"""The rule for whoever is under no profile, where no server has one of its own."""
UNKNOWN: Final = "unknown"
"""No server of the configuration can have such a name: no rule had to be asked."""
COMPLETION: Final = "completion/complete"
SHELF_OF: Final = {
    "tools/call": "tools",
    "prompts/get": "prompts",
    "resources/read": "resources",
    "resources/subscribe": "resources",
    "resources/unsubscribe": "resources",
}
"""By method, which rules are about the name that it asks for."""
_MAX_URIS: Final = 4000
"""Whose answers are remembered, in one profile."""
_MAX_KNOWN_CHARS: Final = 512
"""Of each of them: a client may make up any number of long ones."""


class Verdict(Struct, frozen=True):
    is_allowed: bool
    rule: str
    """What decided, as a key path: `profiles.review.tools.deny[0]`, with the id of a server in place of its
    number. Short, stable, and harmless in a log."""
    glob: str = ""
    """The glob that fits there, if it was one."""
    server: str = ""
    """The server that the name belongs to, as far as a name says."""


def principal_of(token: TokenConfig) -> str:
    """Who its bearer is: named as nobody else is, for a token's name holds no colon."""
    return f"token:{token.name}"


def bound_by(config: Config) -> dict[str, str]:
    """Principal -> the one profile that its token is for."""
    return {principal_of(token): token.profile for token in config.auth.tokens if token.profile}


class Policy:
    """One profile. What it answers about URIs is remembered."""

    def __init__(self, name: str, rules: ProfileConfig) -> None:
        self._path = f"profiles.{name}"
        self._rules = rules
        self._servers = Globs(rules.servers)
        self._tools = Matcher(rules.tools)
        self._prompts = Matcher(rules.prompts)
        self._resources = Matcher(rules.resources)
        self._uris: dict[tuple[str, str], Decision] = {}

    # --- what it shows (catalog.profiles.Shows) -------------------------------------------------------------

    def server(self, server: str) -> bool:
        return self._servers.first((server,)) is not None

    def tool(self, exposed: str) -> bool:
        return self._tools.is_open or self._tools.decide((exposed,)).is_allowed

    def prompt(self, exposed: str) -> bool:
        return self._prompts.is_open or self._prompts.decide((exposed,)).is_allowed

    def resource(self, server: str, uri: str) -> bool:
        return self._resources.is_open or self._about_uri(server, uri).is_allowed

    @property
    def shows_all_resources(self) -> bool:
        """Of the servers that it shows."""
        return self._resources.is_open

    def _about_uri(self, server: str, uri: str) -> Decision:
        decision = self._uris.get((server, uri))
        if decision is None:
            decision = _about_uri(self._resources, server, uri)
            if len(uri) <= _MAX_KNOWN_CHARS:
                if len(self._uris) >= _MAX_URIS:
                    self._uris.clear()
                self._uris[server, uri] = decision
        return decision

    # --- which rule decides ---------------------------------------------------------------------------------

    def about_server(self, server: str) -> Verdict:
        fitting = self._servers.first((server,))
        if fitting is None:
            return Verdict(False, f"{self._path}.servers", server=server)
        return Verdict(True, f"{self._path}.servers[{fitting}]", self._rules.servers[fitting], server)

    def about_name(self, shelf: str, server: str, name: str) -> Verdict:
        """`name`: of a tool or prompt as clients see it, of a resource the server's own."""
        rules: NameRules = getattr(self._rules, shelf)
        if shelf == "resources":
            decision = self._about_uri(server, name)
        else:
            decision = (self._tools if shelf == "tools" else self._prompts).decide((name,))
        return _verdict(f"{self._path}.{shelf}", rules, decision, server)

    @property
    def itself(self) -> Verdict:
        """For what asks for no name."""
        return Verdict(True, self._path)


class Policies:
    """All that one configuration says."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._profiles = {name: Policy(name, rules) for name, rules in config.profiles.items()}
        self.bound = bound_by(config)
        self._servers = {server.id: server for server in config.servers}
        self._bare = next((s.id for s in config.servers if _prefix(config, s) == "none"), "")
        """The one server whose names begin with nothing, if there is one."""

    def of(self, profile: str) -> Policy | None:
        """The profile of this name; None: there is none."""
        return self._profiles.get(profile)

    def verdict(
        self, profile: str, method: str, name: str, server: str = "", origin: str | None = None
    ) -> Verdict:
        """What the rules come to, whether or not there is anything of that name.

        `server`: whose it is; empty: as far as the name tells. `origin`: the server's own name for it, where
        that is known.
        """
        policy = self._profiles.get(profile)
        if profile != EVERYTHING and policy is None:
            return Verdict(False, f"profiles.{profile}")
        shelf = _shelf_of(method, name)
        if shelf == "resources" and origin is None:
            server, origin = self._split_uri(name, server)
        elif shelf is not None:
            server = server or self._owner_of(name)
            if not server:
                return Verdict(False, UNKNOWN)
            if shelf == "tools" and origin is None and server != self._bare and slug_of(name) != server:
                # Called by its server's own name, as pages of tools do.
                name, origin = f"{server}{SEPARATOR}{name}", name
        verdict = Verdict(True, NO_RULE, server=server) if policy is None else policy.itself
        if policy is not None and server:
            verdict = policy.about_server(server)
        if shelf is None or not verdict.is_allowed:
            return verdict
        if shelf == "tools" and server in self._servers:
            own = self._own_verdict(self._servers[server], name, origin)
            if not own.is_allowed or policy is None:
                return own
        if policy is None:
            return verdict
        return policy.about_name(shelf, server, name if origin is None or shelf != "resources" else origin)

    def _own_verdict(self, server: ServerConfig, name: str, origin: str | None) -> Verdict:
        """What the server's own rules come to; they are about the names that the server itself has."""
        if origin is None:
            origin = name.removeprefix(f"{server.id}{SEPARATOR}")
        return _verdict(f"servers.{server.id}.tools", server.tools, decided(server.tools, origin), server.id)

    def _owner_of(self, name: str) -> str:
        slug = slug_of(name)
        return slug if slug in self._servers else self._bare

    def _split_uri(self, uri: str, server: str) -> tuple[str, str]:
        alias = split_alias(uri, self._servers)
        return alias if alias is not None and server in ("", alias[0]) else (server, uri)


def _about_uri(rules: Matcher, server: str, uri: str) -> Decision:
    """By no rule in particular, where nobody can know what the URI means."""
    forms = forms_of(uri)
    if forms is None:
        return Decision(False, "")
    # A URI and its alias are one thing, whichever of them a list has.
    both = [(each, alias_of(server, each)) if server else (each,) for each in forms.meanings]
    loosely = (*forms.loosely, *(alias_of(server, each) for each in forms.loosely if server))
    return rules.decide(*both, also_denied_as=loosely)


def _verdict(path: str, rules: GlobRules, decision: Decision, server: str) -> Verdict:
    key, _, index = decision.by.partition("[")
    glob = getattr(rules, key)[int(index[:-1])] if index else ""
    return Verdict(decision.is_allowed, f"{path}.{decision.by}".rstrip("."), glob, server)


def _shelf_of(method: str, name: str) -> str | None:
    if method != COMPLETION:
        return SHELF_OF.get(method)
    # No scheme of a URI has an underscore, and every name of ours has one before anything else.
    scheme, colon, _ = name.partition(":")
    return "resources" if colon and "_" not in scheme else "prompts"


def _prefix(config: Config, server: ServerConfig) -> str:
    return server.prefix or config.routing.prefix
