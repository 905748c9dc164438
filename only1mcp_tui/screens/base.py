"""What all the main screens share: title, banners, footer, filter, and the picture they are handed.

A screen draws the picture it is given and posts intents. It keeps selection, filter and scroll; nothing else.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from only1mcp_tui.screens.kept import Kept, kept_of
from only1mcp_tui.screens.readonly import CHANGES
from only1mcp_tui.view.filters import Filter, parse_filter
from only1mcp_tui.view.history import History
from only1mcp_tui.view.overview import Pace, banner_lines, title_line
from only1mcp_tui.view.text import Line, Span, cells, fit, safe, spread
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.filter_bar import FilterBar
from only1mcp_tui.widgets.keys import named
from proxy_core.control import Control
from proxy_core.telemetry.snapshot import Notice, Snapshot

Part = TypeVar("Part", bound=Widget)

NAMES = (
    ("1", "overview", "Overview"),
    ("2", "servers", "Servers"),
    ("3", "metrics", "Metrics"),
    ("4", "requests", "Requests"),
    ("5", "logs", "Logs"),
)
STALE_S = 1.0
"""After so long an unchanged picture is drawn again: the ages in it have grown."""
PINNED = ("toggle_help", "leave")
"""Actions that the footer shows at its right end, however narrow it is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a screen draws from."""

    snapshot: Snapshot
    now: float
    """On the clock of `snapshot.at`, which stands still while nothing changes."""
    history: History
    pace: Pace
    alarms: tuple[Notice, ...] = ()
    """What is wrong with the screen or the core itself, as the app sees it."""


class CoreScreen(Screen[None]):
    """A main screen."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 (Textual declares it so)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]  # noqa: RUF012 (likewise)

    BINDINGS: ClassVar[list[BindingType]] = named([Binding("slash", "filter", "Filter", key_display="/")])

    MODE: ClassVar[str]
    FILTER_KEYS: ClassVar[frozenset[str]]
    FILTER_HINT: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        if "BINDINGS" in cls.__dict__:
            cls.BINDINGS = named(cls.BINDINGS)
        super().__init_subclass__(**options)

    _ground: list[Strip] = []  # noqa: RUF012 (never changed in place)
    _ground_of: Hashable = None

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__()
        self.control = control
        self._picture = picture
        self.filter = Filter()
        self.filter_text = ""
        self._footer_key: Hashable = None
        self._nav_key: Hashable = None
        self._shown: Picture | None = None
        self._shown_with: Hashable = None
        self._parts: dict[str, Widget] = {}
        self.has_news = True
        """Whether the picture that is being drawn differs from the one before it."""

    def compose(self) -> ComposeResult:
        yield Board(id="title")
        yield Board(id="nav")
        yield Board(id="banner")
        yield from self.body()
        yield Board(id="footer")

    # --- what each screen says ------------------------------------------------------------------------------

    def body(self) -> Iterator[Widget]:
        raise NotImplementedError

    def draw(self, picture: Picture) -> None:
        """Put the picture into the body's widgets; without `has_news`, only what does not come with it."""
        raise NotImplementedError

    def filter_changed(self) -> None:
        """`filter` is another one: a screen that keeps what passes sorts it out anew.

        A hook and no second handler: Textual calls the handlers of a subclass before ours.
        """

    def parse(self, expression: str) -> Filter:
        """What was typed into the filter."""
        return parse_filter(expression, self.FILTER_KEYS)

    def commands(self) -> Iterable[SystemCommand]:
        """What the palette offers while this screen is on top."""
        return ()

    def hold(self, picture: Picture) -> None:
        """A picture that came while the screen is paused: count what is new, and paint nothing else."""

    def status(self) -> Line:
        """The right end of the navigation line: where one is, and what is filtered."""
        crumbs = " › ".join(safe(each, 80) for each in self.crumbs())
        where: Line = ((f"{crumbs}  ", "text"),) if crumbs else ()
        if not self.filter_text:
            return where
        return *where, (f"filter: {fit(self.filter_text, 30).rstrip()} ", "warn")

    def crumbs(self) -> tuple[str, ...]:
        """The way to what is open, from the main screen on; empty at its top. Escape goes one back."""
        return ()

    def label_of(self, binding: Binding) -> str:
        # Only the first screen is left for good; from the others the same key leads back to it.
        if binding.action == "leave" and self.MODE != self.app.DEFAULT_MODE:
            return "Back"
        return binding.description

    def go_back(self) -> bool:
        """One level back inside this screen; False at its top."""
        if not self.filter_text:
            return False
        self.query_one("#filter", FilterBar).action_clear()
        return True

    # --- drawing --------------------------------------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """The ground behind all widgets, which Textual asks for at each frame, as it was made last."""
        key = (crop, self.size, len(self.get_line_filters()))
        if key != self._ground_of:
            self._ground, self._ground_of = super().render_lines(crop), key
        return self._ground

    def notify_style_update(self) -> None:
        self._ground_of = None
        super().notify_style_update()

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        self._ground_of = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    @property
    def width(self) -> int:
        """Cells of a full-width line: less than the screen's while the help panel is open."""
        return self.part("title").size.width or self.size.width

    def part(self, id: str) -> Board:
        return self.found(id, Board)

    def found(self, id: str, kind: type[Part]) -> Part:
        """One of those that stay as long as the screen: it is looked for once, not at every frame."""
        part = self._parts.get(id)
        if part is None:
            part = self._parts[id] = self.query_one(f"#{id}", kind)
        assert isinstance(part, kind)
        return part

    def show(self, picture: Picture) -> None:
        width = self.width
        shown_with = (self.room(), picture.history.turn)
        self.has_news = shown_with != self._shown_with or self._differs(picture)
        if self.has_news:
            self._shown, self._shown_with = picture, shown_with
            self.set_class(picture.pace.stale_s is not None, "-stale")
            self.part("title").put([title_line(picture.snapshot, picture.now, picture.pace, width)])
            self.part("banner").put(banner_lines(picture.snapshot, picture.alarms, width))
        self.draw(picture)
        self.show_nav()
        if (key := self.footer_key()) != self._footer_key:
            self._footer_key = key
            self.refresh_bindings()
            self._show_footer()

    def room(self) -> Hashable:
        """What of its own size the drawing goes by; another one is news."""
        return self.width

    def _differs(self, picture: Picture) -> bool:
        shown = self._shown
        return (
            shown is None
            or picture.snapshot is not shown.snapshot
            or picture.alarms != shown.alarms
            or picture.pace != shown.pace
            or picture.now - shown.now >= STALE_S
        )

    def redraw(self) -> None:
        """Draw the last picture again: selection, filter or width changed."""
        self._footer_key = self._nav_key = self._shown = None
        self.show(self._picture())

    @property
    def picture(self) -> Picture:
        """What there is to draw now."""
        return self._picture()

    @property
    def is_readonly(self) -> bool:
        return bool(getattr(self.app, "is_readonly", False))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Who overrides this asks here first: what changes something is not there at all in read-only."""
        return not (action in CHANGES and self.is_readonly)

    @property
    def kept(self) -> Kept:
        """What outlives the run: small scalars."""
        return kept_of(self.app)

    def footer_key(self) -> Hashable:
        """What the footer depends on; to ask every binding again at each frame would cost a millisecond."""
        return self.width, self.focused, self.is_readonly

    def show_nav(self) -> None:
        status, width = self.status(), self.width
        if (key := (status, width)) != self._nav_key:
            self._nav_key = key
            nav, right = self._nav_line(), status
            # The last word of the right end is the most wanted one.
            while right and cells(nav) + cells(right) >= width:
                right = right[1:]
            self.part("nav").put([spread(nav, right, width)])

    def _show_footer(self) -> None:
        self.part("footer").put([self._footer_line()])

    def _nav_line(self) -> Line:
        """All names; where they do not fit, the keys of the others."""
        line = self._nav_names(has_all=True)
        return line if cells(line) <= self.width else self._nav_names(has_all=False)

    def _nav_names(self, *, has_all: bool) -> Line:
        spans: list[Span] = [(" ", "text")]
        gap = "   " if self.width >= 100 else " "
        for key, mode, name in NAMES:
            action = f"app.switch_mode('{mode}')"
            role = "tab-on" if mode == self.MODE else "tab"
            spans.append((f"{key} ", "muted") if has_all else (f"{key} ", "muted", action))
            if has_all or mode == self.app.current_mode:
                spans += [(name, role, action), (gap, "text")]
        return tuple(spans[:-1]) if has_all else tuple(spans)

    def _footer_line(self) -> Line:
        hints: dict[bool, list[Line]] = {False: [], True: []}
        for active in self.active_bindings.values():
            if active.binding.show:
                hints[active.binding.action in PINNED].append(self._hint(active.binding, active.enabled))
        pinned: Line = tuple(span for hint in hints[True] for span in hint)
        room = self.width - cells(pinned)
        left: list[Span] = []
        for hint in hints[False]:
            if (room := room - cells(hint)) < 1:
                break
            left += hint
        return spread(tuple(left), pinned, self.width)

    def _hint(self, binding: Binding, is_enabled: bool) -> Line:
        key = self.app.get_key_display(binding)
        action = f"app.simulate_key('{binding.key}')"
        word = f" {self.label_of(binding)}  "
        if not is_enabled:
            return (f" {key}", "off"), (word, "off")
        return (f" {key}", "key", action), (word, "muted", action)

    def on_screen_resume(self) -> None:
        if self.MODE:
            self.kept.put("screen", self.MODE)
        # A screen that was not on top has seen no picture since; waiting for the next one would show the past.
        self.call_after_refresh(self.redraw)

    def on_resize(self) -> None:
        self.call_after_refresh(self.redraw)

    # --- the filter -----------------------------------------------------------------------------------------

    async def action_filter(self) -> None:
        if not self.query("#filter"):
            # Not composed with the rest: from Python 3.12 on Textual starts tasks eagerly, and an Input that is
            # mounted before its screen is on the stack ends the app.
            await self.mount(FilterBar(self.FILTER_HINT), before="#footer")
        self.query_one("#filter", FilterBar).open()

    @on(FilterBar.Edited)
    def _filter_edited(self, event: FilterBar.Edited) -> None:
        self.filter_text = event.expression
        self.filter = self.parse(event.expression)
        self.filter_changed()
        self.redraw()

    @on(FilterBar.Left)
    def _filter_left(self) -> None:
        self.query_one(str(self.AUTO_FOCUS)).focus()
