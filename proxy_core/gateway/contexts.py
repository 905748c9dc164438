"""Which mode the tools of a profile are listed in: as configured, or the cheapest for what there is.

Sole owner of what `auto` has chosen. A choice is made when lists are, and kept from one to the next if it is
nearly right; knows no lists itself.
"""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from proxy_core.access.policy import EVERYTHING
from proxy_core.config.models import Config
from proxy_core.gateway.modes import Costs, Mode, cheapest

AUTO: Final = "auto"
Measured: TypeAlias = Callable[[str], Costs | None]
"""What the list in force of a profile costs, as it was counted; None: that is not known (yet)."""


def unmeasured(profile: str) -> Costs | None:
    """For whoever counts nothing: everything is estimated."""
    return None


class Contexts:
    def __init__(self, config: Callable[[], Config], measured: Measured) -> None:
        self._config = config
        self._measured = measured
        self._chosen: dict[str, Mode] = {}

    def mode(self, profile: str, estimate: Callable[[], Costs]) -> Mode:
        """The mode of a list that is being made; `estimate` is asked where nothing was counted."""
        said = self._said(profile)
        if said != AUTO:
            self._chosen.pop(profile, None)
            return Mode(said)
        costs = self._measured(profile) or estimate()
        mode = self._chosen[profile] = cheapest(costs, self._chosen.get(profile))
        return mode

    def mode_beside(self, profile: str, estimate: Callable[[], Costs]) -> Mode:
        """The same for one principal's own list, which goes by what everyone shares if that was made."""
        chosen = self._chosen.get(profile) if self._said(profile) == AUTO else None
        return self.mode(profile, estimate) if chosen is None else chosen

    def stays_listed(self, exposed: str) -> bool:
        """Whether a tool is listed in search mode too."""
        return any(fnmatchcase(exposed, glob) for glob in self._config().context.always)

    @property
    def configured(self) -> Sequence[str]:
        """Every mode that the configuration names, that of no profile first."""
        config = self._config()
        return [config.context.mode, *(p.context for p in config.profiles.values() if p.context is not None)]

    @property
    def has_choice(self) -> bool:
        """Whether anything goes by what lists cost."""
        return AUTO in self.configured

    def _said(self, profile: str) -> str:
        config = self._config()
        if profile != EVERYTHING and profile not in config.profiles:
            # It shows nothing, and nothing is found in it.
            return Mode.FULL
        own = config.profiles[profile].context if profile != EVERYTHING else None
        return own or config.context.mode
