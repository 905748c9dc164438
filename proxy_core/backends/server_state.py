"""What a server is like, from what its replicas are like. Pure."""

from collections.abc import Sequence
from typing import Final, Protocol

from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF
from proxy_core.telemetry.snapshot import ServerState as S

_WORST_LAST: Final = (S.STARTING, S.RESTARTING, S.UNHEALTHY, S.AUTH_REQUIRED, S.FAILED)
"""Of a server without a replica in service, the first of these that one of them is in: hope goes first."""
_OFF: Final = (S.DRAINING, S.DRAINED, S.DISABLED)
MAX_NAMED: Final = 5


class Replica(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def state(self) -> S: ...

    @property
    def reason(self) -> str: ...


def of(replicas: Sequence[Replica], stand_ins: Sequence[Replica] = ()) -> tuple[S, str]:
    """Its state and why. `stand_ins`: replicas that are replaced, and serve until the new ones do."""
    if len(replicas) == 1 and not stand_ins:
        return replicas[0].state, replicas[0].reason
    wanted = [each for each in replicas if each.state not in SWITCHED_OFF]
    serving = [each for each in (*wanted, *stand_ins) if each.state in IN_SERVICE]
    ailing = [each for each in wanted if each.state is not S.HEALTHY]
    if not wanted and not serving:
        state = next(state for state in _OFF if any(each.state is state for each in replicas))
        return state, _words([each for each in replicas if each.reason], replicas)
    if not serving:
        state = next(state for state in _WORST_LAST if any(each.state is state for each in wanted))
        return state, _words([each for each in wanted if each.state is state or each.reason], replicas)
    if not ailing:
        return S.HEALTHY, ""
    if all(each.state is S.STARTING for each in ailing) and not any(
        each.state is S.DEGRADED for each in serving
    ):
        # Nothing is wrong: the first start, a restart of one after the other, or one that is being replaced.
        if stand_ins:
            return S.HEALTHY, "a new one is being started in place of the old one, which serves on"
        return S.HEALTHY, f"{', '.join(each.id for each in ailing[:MAX_NAMED])} starting, the others serve"
    if any(each in serving for each in stand_ins):
        return S.DEGRADED, f"the old one serves on, as the new one does not: {_words(ailing, replicas)}"
    well = sum(each.state is S.HEALTHY for each in wanted)
    return S.DEGRADED, f"{well} of {len(wanted)} replicas are well; {_words(ailing, replicas)}"


def _words(some: Sequence[Replica], of_all: Sequence[Replica]) -> str:
    if len(of_all) == 1:
        return some[0].reason or str(some[0].state) if some else ""
    named = [f"{each.id}: {each.reason or each.state}" for each in some[:MAX_NAMED]]
    rest = len(some) - len(named)
    return "; ".join([*named, *([f"{rest} more"] if rest else [])])
