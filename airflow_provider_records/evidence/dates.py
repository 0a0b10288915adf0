"""Reads dates as vendors write them, so that nothing counts as due too early."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DAY = (
    r"(?:(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)|(?P<a>\d\d?)(?P<t>[-/.])(?P<b>\d\d?)(?P=t)(?P<z>\d{4}))"
)
_TIME = r"(?P<H>\d\d?):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,]\d+)?)?(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?"
_MOMENT = re.compile(rf"{_DAY}(?:(?:T|\s+){_TIME})?(?:\s?(?P<zone>Z|[+-]\d\d:?\d\d))?", re.ASCII)
_WHOLE_DAY = timedelta(days=1, microseconds=-1)


def latest(text: str) -> datetime | None:
    """Return the latest moment that a date may mean; None if it is no date.

    A day without a time means its end. ``03/02/2014`` may be in February or in March: the later one counts. A time
    without a zone is UTC.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    part = found.groupdict()
    year = int(part["y"] or part["z"])
    one, other = (int(part["m"] or part["a"]), int(part["d"] or part["b"]))
    days = [(one, other)] if part["y"] else [(one, other), (other, one)]
    moments = [moment for month, day in days if (moment := _moment(part, year, month, day)) is not None]
    return max(moments, default=None)


def _moment(part: dict[str, str | None], year: int, month: int, day: int) -> datetime | None:
    try:
        moment = datetime(year, month, day, tzinfo=UTC)
        if part["H"] is None:
            return moment + _WHOLE_DAY
        hour = int(part["H"])
        if part["half"]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if part["half"] in "pP" else 0)
        moment = moment.replace(hour=hour, minute=int(part["M"] or 0), second=int(part["S"] or 0))
        zone = part["zone"] or "Z"
        if zone != "Z":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment += offset if zone[0] == "-" else -offset
    except (ValueError, OverflowError):
        return None
    return moment
