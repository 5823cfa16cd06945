"""Names at the right of a panel, each level with its mark if it can be, none upon another."""

from collections.abc import Sequence

LINE = 1.35
"""The height of a line of text in sizes of its letters."""


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Places as near as can be to those wanted and in their order, so far from each other, between two ends.

    Where there is no room for so great a distance, all stand at even distances.
    """
    if (len(wanted) - 1) * distance >= high - low:
        distance = (high - low) / max(len(wanted) - 1, 1)
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    clusters: list[tuple[float, list[int]]] = []
    for number in order:
        members, start = [number], min(max(wanted[number], low), high)
        # clusters that would touch become one, around the middle of what its members want
        while clusters and clusters[-1][0] + len(clusters[-1][1]) * distance > start + 1e-9:
            members = clusters.pop()[1] + members
            middle = sum(wanted[each] for each in members) / len(members)
            extent = (len(members) - 1) * distance
            start = min(max(middle - extent / 2, low), high - extent)
        clusters.append((start, members))
    places = [0.0] * len(wanted)
    for start, members in clusters:
        for rank, number in enumerate(members):
            places[number] = start + rank * distance
    return places
