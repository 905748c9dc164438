"""Numbers and times as short words of a steady width."""

import time
from math import ceil

ABSENT = "-"


def duration(seconds: float) -> str:
    """Two units at most: 9s, 2m05s, 2h14m, 3d04h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{second:02}s"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minute:02}m"
    days, hour = divmod(hours, 24)
    return f"{days}d{hour:02}h"


def millis(value: float | None) -> str:
    """A latency in at most four cells, milliseconds without their unit: 0.4, 18, 7.7s."""
    if value is None:
        return ABSENT
    if value >= 1000:
        seconds = value / 1000
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def latency(value: float | None) -> str:
    """A latency with its unit: 0.4ms, 390ms, 5.0s."""
    words = millis(value)
    return words if value is None or words.endswith("s") else f"{words}ms"


def countdown(seconds: float) -> str:
    """What is left, rounded up, so that it never says 0 before it is over: 27 s, 2m05s."""
    left = max(0, ceil(seconds))
    return f"{left} s" if left < 120 else duration(left)


def size(value: int) -> str:
    """Bytes: 812 kB, 42 MB, 1.3 GB."""
    if value < 10**6:
        return f"{value // 1000} kB"
    return f"{value / 10**6:.0f} MB" if value < 10**9 else f"{value / 10**9:.1f} GB"


def rate(value: float) -> str:
    return count(round(value)) if value >= 1000 else f"{value:.1f}"


def count(value: int) -> str:
    """1203 as it is, from ten thousand on as 12.0k."""
    if value < 10_000:
        return str(value)
    if value < 1_000_000:
        return f"{value / 1000:.1f}k"
    return f"{value / 1_000_000:.1f}M"


def percent(part: float, whole: float) -> str:
    if whole <= 0:
        return ABSENT
    share = min(100.0, 100 * part / whole)
    return f"{share:.0f}" if share >= 99.95 or share == 0 else f"{share:.1f}"


def share(part: float | None) -> str:
    """A part of 1: 0.876 as 87.6 %."""
    return ABSENT if part is None else f"{percent(part, 1)} %"


def plural(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"


def clock_time(wall: float) -> str:
    """Epoch seconds as the time of day where the machine stands."""
    return time.strftime("%H:%M:%S", time.localtime(wall))
