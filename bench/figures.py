"""A figure: what Weft took against what its baseline took, side by side, round by round."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds of one round."""

    baseline: Sequence[float]
    weft: Sequence[float]

    @property
    def ratio(self) -> float:
        return median(self.weft) / median(self.baseline)


@dataclass(slots=True)
class Figure:
    """`goal` is what we want to reach; a median ratio above `floor` fails the benchmark."""

    name: str
    floor: float | None
    goal: float | None
    rounds: list[Round] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: one round disturbed by something else moves it little."""
        return median(each.ratio for each in self.rounds)

    @property
    def worst_ratio(self) -> float:
        return max(each.ratio for each in self.rounds)

    @property
    def baseline(self) -> float:
        return median(value for each in self.rounds for value in each.baseline)

    @property
    def weft(self) -> float:
        return median(value for each in self.rounds for value in each.weft)

    @property
    def weft_p90(self) -> float:
        return quantiles([value for each in self.rounds for value in each.weft], n=10)[-1]

    @property
    def is_broken(self) -> bool:
        return self.floor is not None and self.ratio > self.floor


async def in_turn(baseline: Measure, weft: Measure, count: int) -> Round:
    """Measure both in turn, one call each, so that what else the machine does meets both alike."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(count):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            taken[which].append(await (baseline, weft)[which]())
    return Round(*taken)


def table(figures: Sequence[Figure]) -> str:
    heads = ("figure", "baseline ms", "weft ms", "p90 ms", "ratio", "worst", "goal", "floor", "")
    rows = [heads, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return "\n".join(_aligned(row, widths) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """The first column to the left, the others to the right."""
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        f"{figure.baseline:.2f}",
        f"{figure.weft:.2f}",
        f"{figure.weft_p90:.2f}",
        f"{figure.ratio:.2f}",
        f"{figure.worst_ratio:.2f}",
        "" if figure.goal is None else f"{figure.goal:.1f}",
        "" if figure.floor is None else f"{figure.floor:.1f}",
        _verdict(figure),
    )


def _verdict(figure: Figure) -> str:
    if figure.is_broken:
        return "BROKEN"
    if figure.goal is None:
        return ""
    return "ok" if figure.ratio <= figure.goal else "above goal"
