"""From the name or URI a client says to the server that has it. Pure, frozen, a dict lookup where it matters.

Never asks a server: what is in no list, no template and no alias has no route.
Spec: 2025-11-25 server/resources, "Resource Templates"; server/utilities/completion.
"""

from collections.abc import Container, Iterable
from typing import Self

from msgspec import Struct

from proxy_core.catalog.aliases import split_alias
from proxy_core.catalog.merge import Catalog, Entry, Link
from proxy_core.catalog.names import slug_of
from proxy_core.catalog.uri_template import MAX_URI_CHARS, Uri, UriTemplate
from proxy_core.protocol.header_params import HeaderParam


class Route(Struct, frozen=True):
    """Whom to ask, and for what in that server's own words."""

    server: str
    origin: str
    header_params: tuple[HeaderParam, ...] = ()
    """Tools: arguments that travel as headers too."""


class TemplateRoute(Struct, frozen=True):
    server: str
    template: UriTemplate


class Routes(Struct, frozen=True):
    """Every way to a server. One value per catalog or part of it; a reader may keep it for one exchange."""

    _servers: frozenset[str]
    """Whose ids names and aliases may begin with."""
    _reachable: frozenset[str]
    """Those of them that a name may lead to."""
    _tools: dict[str, Route]
    """By exposed name, and by bare name where that is unambiguous."""
    _prompts: dict[str, Route]
    _resources: dict[str, Route]
    """By listed URI or alias."""
    _templates: dict[str, Route]
    """By listed template or alias."""
    _matchers: tuple[TemplateRoute, ...]
    """In the order in which they are tried."""

    @classmethod
    def of(cls, catalog: Catalog, part: Catalog | None = None) -> Self:
        """`part`: all of the catalog that may be reached (`profiles.part_of`), if not everything.

        A name in it leads where it does in the whole catalog, and nowhere if that is out of reach: what a
        hidden server has never leads to another that has the same.
        """
        shown = part or catalog
        servers = frozenset(catalog.servers)
        exposed = _by_exposed(catalog.tools)
        bare = _bare_names(shown.tools, servers)
        return cls(
            servers,
            frozenset(shown.servers),
            {name: route for name, route in bare.items() if name not in exposed} | _by_exposed(shown.tools),
            _by_exposed(shown.prompts),
            _by_exposed(catalog.links) | _by_exposed(catalog.resources),
            _by_exposed(catalog.templates),
            _matchers(catalog.templates),
        )

    def tool(self, name: str) -> Route | None:
        """Also by a server's own name for it, if one server alone has that and no exposed name equals it:
        the pages of MCP Apps call their server's tools so."""
        return self._tools.get(name)

    def prompt(self, name: str) -> Route | None:
        return self._prompts.get(name)

    def resource(self, uri: str, seen_at: str | None = None) -> Route | None:
        """The owner of a URI: listed or in force as an alias, then any alias form, then who spoke of it, then
        by template. `seen_at`: the server that told whoever asks of this URI."""
        return self._if_reachable(self._owner(uri, seen_at))

    def _owner(self, uri: str, seen_at: str | None) -> Route | None:
        listed = self._resources.get(uri)
        if listed is not None or len(uri) > MAX_URI_CHARS:
            return listed
        alias = split_alias(uri, self._servers)
        if alias is None:
            return Route(seen_at, uri) if seen_at in self._servers else self._by_template(uri)
        server, origin = alias
        # A server's own URIs may begin like its alias; whoever means another server is never led to it.
        return self._by_template(uri, server) or Route(server, origin)

    def template(self, uri_template: str) -> Route | None:
        """The owner of a completion's `ref/resource`: a template, or else a URI."""
        return self._if_reachable(self._templates.get(uri_template) or self._owner(uri_template, None))

    def owner_guess(self, name: str) -> str | None:
        """The known server whose id an unlisted tool or prompt name begins with."""
        slug = slug_of(name)
        return slug if slug in self._reachable else None

    def reaches(self, server: str) -> bool:
        return server in self._reachable

    def _if_reachable(self, route: Route | None) -> Route | None:
        return route if route is not None and route.server in self._reachable else None

    def _by_template(self, text: str, of_server: str | None = None) -> Route | None:
        uri = Uri(text)
        for each in self._matchers:
            if of_server in (None, each.server) and each.template.matches(uri):
                return Route(each.server, text)
        return None


def _by_exposed(entries: Iterable[Entry | Link]) -> dict[str, Route]:
    return {each.exposed: _route(each) for each in entries}


def _route(each: Entry | Link) -> Route:
    return Route(each.server, each.origin, each.header_params if isinstance(each, Entry) else ())


def _bare_names(tools: Iterable[Entry], servers: Container[str]) -> dict[str, Route]:
    """Servers' own names that exactly one server has."""
    owners: dict[str, Route | None] = {}
    for each in tools:
        owners[each.origin] = None if each.origin in owners else _route(each)
    # `other__tool` of this server must not be called in the place of the other, while that one is away.
    return {name: route for name, route in owners.items() if route and slug_of(name) not in servers}


def _matchers(templates: Iterable[Entry]) -> tuple[TemplateRoute, ...]:
    """Longest literal prefix first, then the order of the list, which is that of the configuration."""
    matchers = [TemplateRoute(each.server, UriTemplate(each.origin)) for each in templates]
    return tuple(sorted(matchers, key=lambda each: -len(each.template.prefix)))
