"""What the screens wish for, carried to the core: verbs on servers, answers, imports, another configuration.

Asks first what has to be asked, does it in a worker of the app, and says in a toast how it ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from textual import on, work
from textual.screen import ModalScreen

from only1mcp_tui import messages
from only1mcp_tui.screens import drill, logging_in
from only1mcp_tui.screens.approving import ApproveScreen, approve
from only1mcp_tui.screens.confirm import ConfirmScreen, Question
from only1mcp_tui.screens.guarded import GuardedApp, words_of
from only1mcp_tui.screens.importing import ImportScreen
from only1mcp_tui.screens.kept import Kept
from only1mcp_tui.screens.plan import Answer, PlanScreen
from only1mcp_tui.screens.question import QuestionScreen, give
from only1mcp_tui.screens.readonly import CHANGES, REFUSAL
from only1mcp_tui.screens.servers import ServersScreen
from only1mcp_tui.screens.verbs import VERBS, Verb, ask_all, ask_rollback, switched_on, turn_all
from only1mcp_tui.screens.welcome import WelcomeScreen
from only1mcp_tui.view.news import News
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.plan import done_words
from only1mcp_tui.view.targets import find
from only1mcp_tui.view.text import safe
from proxy_core.config.importers import FoundServer
from proxy_core.control import Control, ReloadPlan
from proxy_core.errors import ConfigError, Only1Error
from proxy_core.telemetry.snapshot import Snapshot

Writer: TypeAlias = Callable[[Sequence[FoundServer]], str]
"""Puts servers into our configuration and says which file that is."""


class WishingApp(GuardedApp):
    """Has a core to ask; whoever makes it fills in these."""

    kept: Kept
    _control: Control
    _snapshot: Snapshot
    _news: News
    _discover: Callable[[], Sequence[FoundServer]] | None
    _write: Writer | None

    @property
    def is_readonly(self) -> bool:
        raise NotImplementedError

    def _now(self) -> float:
        raise NotImplementedError

    def _begin_stop(self) -> None:
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (action in CHANGES and self.is_readonly)

    def _refuses_changes(self) -> bool:
        """Whether only looking is allowed; says so."""
        if self.is_readonly:
            self.notify(REFUSAL, severity="warning", markup=False)
        return self.is_readonly

    # --- wishes about servers -------------------------------------------------------------------------------

    @on(messages.DrainRequested)
    @on(messages.UndrainRequested)
    @on(messages.EnableRequested)
    @on(messages.DisableRequested)
    @on(messages.RestartRequested)
    @on(messages.ProbeRequested)
    @on(messages.ClearCacheRequested)
    def _wished(self, intent: messages.ServerIntent) -> None:
        if not isinstance(intent, messages.ProbeRequested) and self._refuses_changes():
            return
        self._news.wished(intent.target.partition("/")[0], self._now())
        act = self._act(VERBS[type(intent)], intent.target)
        self.run_worker(act, group=f"server:{intent.target}", exclusive=True, exit_on_error=False)

    async def _act(self, verb: Verb, name: str) -> None:
        target = find(self._snapshot.servers, name)
        question = verb.question(target) if target is not None else None
        if question is None or await self._agrees(question):
            await self._tell(verb.act(self._control, name))

    @on(messages.DrainAllRequested)
    @work(group="all", exclusive=True)
    async def _turn_all(self) -> None:
        servers = self._snapshot.servers
        if self._refuses_changes():
            return
        if switched_on(servers) and await self._agrees(ask_all(servers)):
            for row in servers:
                self._news.wished(row.id, self._now())
            await self._tell(turn_all(self._control, servers))

    @on(messages.DrillRequested)
    @work(group="drill", exclusive=True)
    async def _drill(self, intent: messages.DrillRequested) -> None:
        target = find(self._snapshot.servers, intent.target)
        if target is not None and target.row.drill:
            await self._tell(drill.end(self._control, target))
        elif target is not None:
            self.clear_notifications()
            if (chosen := await self.push_screen_wait(drill.DrillScreen(target))) is not None:
                await self._tell(drill.begin(self._control, target, chosen))

    @on(messages.ApprovalRequested)
    @work(group="approve", exclusive=True)
    async def _approve(self, intent: messages.ApprovalRequested) -> None:
        """One after the other, until there is none left or the person leaves."""
        if self._refuses_changes():
            return
        tool, approved = intent.tool, 0
        while True:
            try:
                changes = await self._control.tool_changes(intent.target)
            except (Only1Error, OSError) as error:
                self.notify(words_of(error), severity="error", markup=False)
                return
            if not changes:
                if not approved:
                    self.notify(f"Nothing of {safe(intent.target, 80)} waits for an approval.", markup=False)
                return
            self.clear_notifications()
            change = await self.push_screen_wait(ApproveScreen(self._control, changes, tool))
            if change is None:
                return
            await self._tell(approve(self._control, change))
            tool, approved = "", approved + 1

    @on(messages.LoginRequested)
    def _log_in(self, intent: messages.LoginRequested) -> None:
        if not self._refuses_changes():
            deed = self._tell(logging_in.log_in(self._control, intent.target, self._show_login))
            # Another try takes the place of one that is still waited for.
            self.run_worker(deed, group=f"login:{intent.target}", exclusive=True, exit_on_error=False)

    def _show_login(self, url: str) -> None:
        self.copy_to_clipboard(url)
        self.notify(logging_in.waiting_words(url, logging_in.open_browser(url)), markup=False, timeout=30)

    @work(group="answer", exclusive=True)
    async def action_answer(self) -> None:
        """The oldest of the questions that are open."""
        if not self._snapshot.questions:
            self.notify("No server asks anything.", markup=False, timeout=3)
            return
        question, *others = self._snapshot.questions
        self.clear_notifications()
        given = await self.push_screen_wait(QuestionScreen(question, self._now(), len(others)))
        if given is not None:
            await self._tell(give(self._control, question, given))

    async def _agrees(self, question: Question) -> bool:
        # On a small terminal an old toast would lie over the question.
        self.clear_notifications()
        is_yes: bool = await self.push_screen_wait(ConfirmScreen(question))
        return is_yes

    async def _tell(self, deed: Coroutine[Any, Any, str] | Awaitable[str]) -> None:
        """Do it, and say in a toast how it ended."""
        try:
            self.notify(await deed, markup=False)
        except (Only1Error, OSError) as error:
            self.notify(words_of(error), severity="error", markup=False)

    @on(messages.ServerOpened)
    async def _open_server(self, intent: messages.ServerOpened) -> None:
        await self.switch_mode("servers")
        if isinstance(screen := self.screen, ServersScreen):
            screen.call_after_refresh(screen.open, intent.target)

    @on(messages.CopyRequested)
    def _copy(self, request: messages.CopyRequested) -> None:
        self.copy_to_clipboard(request.text)
        self.notify("Copied.", markup=False, timeout=2)

    @work(group="welcome", exclusive=True)
    async def _welcome(self) -> None:
        found = await asyncio.to_thread(self._discover) if self._discover is not None else ()
        answer = await self.push_screen_wait(WelcomeScreen(found, self._snapshot.demo, self._snapshot.url))
        self.kept.put("welcomed", True)
        if answer == "import":
            self.post_message(messages.ImportRequested())
        elif answer == "quit":
            self._begin_stop()

    @on(messages.ImportRequested)
    @work(group="import", exclusive=True)
    async def _import(self) -> None:
        if self._refuses_changes():
            return
        if self._discover is None or self._write is None:
            self.notify("Servers can be imported only where the gateway itself runs.", markup=False)
            return
        try:
            found = await asyncio.to_thread(self._discover)
        except (Only1Error, OSError) as error:
            self.notify(words_of(error), severity="error", markup=False)
            return
        if chosen := await self.push_screen_wait(ImportScreen(found)):
            await self._tell(self._write_and_apply(self._write, chosen))

    async def _write_and_apply(
        self, write: Callable[[Sequence[FoundServer]], str], chosen: Sequence[FoundServer]
    ) -> str:
        path = await asyncio.to_thread(write, chosen)
        await self._control.apply_reload()
        return f"{plural(len(chosen), 'server')} written to {safe(path)}."

    # --- the configuration ----------------------------------------------------------------------------------

    @work(group="reload", exclusive=True)
    async def action_reload(self) -> None:
        """Show what the file would change; put it in force, or the configuration before, if that is wished."""
        if any(isinstance(screen, ModalScreen) for screen in self.screen_stack):
            return
        plan: ReloadPlan | ConfigError
        try:
            plan = await self._control.reload_plan()
        except ConfigError as error:
            plan = error
        except (Only1Error, OSError) as error:
            self.notify(words_of(error), severity="error", markup=False)
            return
        self.clear_notifications()
        answer = await self.push_screen_wait(
            PlanScreen(plan, self._snapshot.config.can_roll_back, not self.is_readonly)
        )
        if answer is Answer.APPLY:
            await self._tell(self._apply())
        elif answer is Answer.ROLL_BACK:
            await self._tell(self._roll_back())

    @work(group="reload", exclusive=True)
    async def action_roll_back(self) -> None:
        if not self._refuses_changes() and await self._agrees(ask_rollback(self._snapshot.config.version)):
            await self._tell(self._roll_back())

    async def _apply(self) -> str:
        return done_words(await self._control.apply_reload())

    async def _roll_back(self) -> str:
        return done_words(await self._control.rollback(), is_rollback=True)
