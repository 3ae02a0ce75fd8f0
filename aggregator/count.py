"""The journey of the trends: entries → counts of each day → indices → the days that stand out, written."""

from collections.abc import Sequence

from aggregator import trends
from aggregator.model import Period, Sides
from aggregator.store import Store

_COUNTED_BY = "trends_counted_by"
"""The property of the store that says what the trends were last made by: the baseline, and the topics with their sides."""


def count_trends(store: Store, topics: Sequence[Sides], *, baseline: Period | None = None) -> int:
    """Bring the trends up to date with the entries.

    What it costs follows from the days that have changed, not from how much is stored; the result is as if all
    were counted anew. When it is cut short, the next run does what is left. Where the topics, the sides of their
    aspects or the baseline are not what they were, all is counted anew.

    Args:
        store: what was read and tagged.
        topics: whose trends.
        baseline: the days whose mean is to be 100; None: the first four weeks with enough in them.

    Returns:
        How many days had changed.
    """
    wished = repr((baseline, *sorted(topics, key=lambda sides: sides.topic)))
    renewed = store.property(_COUNTED_BY, str) != wished
    changes = store.count_days(topics, again=renewed)
    for sides in topics:
        since = store.trend_since(sides.topic, changes)
        if since is None:
            continue
        made = []
        for series in store.series(
            sides.topic, since, baseline=baseline, window=trends.BASELINE, history=trends.HISTORY
        ):
            index = trends.index(series.counts, baseline=baseline, past=series.past)
            first = index.days[0].day if index.days else None
            made.append((series, index, trends.scores((*series.recent, *index.days), first)))
        store.write_trend(sides.topic, since, made, configured=baseline is not None)
    store.days_counted(changes)
    if renewed:
        store.set_property(_COUNTED_BY, wished)
    return len(changes)
