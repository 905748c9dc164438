"""What an operator does, as a line: who, which verb, on what, how it ended. One decorator for every verb.

It stands at the verbs themselves, which is the one place where every door leads: the screen, the admin API on
socket and port, and with it the command.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from proxy_core.access.audit.audit import Audit
from proxy_core.errors import ErrorCode, Only1Error

P = ParamSpec("P")
T = TypeVar("T")


class HasAudit(Protocol):
    audit: Audit


def audited(act: str, *told: str) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """For a method of something that has an audit: each of its calls becomes a line.

    `told`: parameters whose values are told, the first as what it was done to; never what may be a secret.
    """

    def around(verb: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        signature = inspect.signature(verb)

        @wraps(verb)
        async def done(*args: P.args, **kwargs: P.kwargs) -> T:
            given = signature.bind(*args, **kwargs).arguments
            audit: Audit = given["self"].audit
            if not audit.is_on:
                return await verb(*args, **kwargs)
            values = {name: str(given[name]) for name in told if given.get(name) is not None}
            target = values.pop(told[0], "") if told else ""
            failure: Only1Error | None = None
            code: int | None = ErrorCode.INTERNAL_ERROR
            begun_at = audit.now()
            try:
                result = await verb(*args, **kwargs)
                code = None
                return result
            except Only1Error as error:
                failure, code = error, error.code
                raise
            finally:
                why = "" if failure is None else failure.message
                audit.acted(act, target, values, begun_at, code, why)

        return done

    return around
