"""A figure: what Weft took against what its baseline took, side by side, round by round."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round took, in the figure's unit. A figure without a baseline has rounds without one."""

    baseline: Sequence[float]
    weft: Sequence[float]

    @property
    def value(self) -> float:
        """The ratio to the baseline, or Weft's own median where there is none."""
        return median(self.weft) / (median(self.baseline) if self.baseline else 1.0)


@dataclass(slots=True)
class Figure:
    """`goal` is what we want to reach; a median value beyond `floor` fails the benchmark. Both speak of the ratio, or
    of Weft's own value where there is no baseline. `more_is_better` turns them round."""

    name: str
    floor: float | None = None
    goal: float | None = None
    unit: str = "ms"
    more_is_better: bool = False
    rounds: list[Round] = field(default_factory=list)

    @property
    def value(self) -> float:
        """The median of the rounds' values: one round disturbed by something else moves it little."""
        return median(each.value for each in self.rounds)

    @property
    def worst(self) -> float:
        values = [each.value for each in self.rounds]
        return min(values) if self.more_is_better else max(values)

    @property
    def baseline(self) -> float | None:
        values = [value for each in self.rounds for value in each.baseline]
        return median(values) if values else None

    @property
    def weft(self) -> float:
        return median(value for each in self.rounds for value in each.weft)

    @property
    def is_broken(self) -> bool:
        return self.floor is not None and not self._reaches(self.floor)

    @property
    def verdict(self) -> str:
        if self.is_broken:
            return "BROKEN"
        if self.goal is None:
            return ""
        return "ok" if self._reaches(self.goal) else "short of the goal"

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound if self.more_is_better else self.value <= bound


async def in_turn(baseline: Measure, weft: Measure, count: int) -> Round:
    """Measure both in turn, one call each, so that what else the machine does meets both alike."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(count):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            taken[which].append(await (baseline, weft)[which]())
    return Round(*taken)


def figure_table(figures: Sequence[Figure]) -> str:
    heads = ("figure", "unit", "baseline", "weft", "ratio", "worst", "goal", "floor", "")
    return table(heads, [_row(figure) for figure in figures])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    return "\n".join(_aligned(row, widths) for row in (heads, *rows))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def _row(figure: Figure) -> tuple[str, ...]:
    has_baseline = figure.baseline is not None
    return (
        figure.name,
        figure.unit,
        "" if figure.baseline is None else number(figure.baseline),
        number(figure.weft),
        number(figure.value) if has_baseline else "",
        number(figure.worst),
        _bound(figure, figure.goal),
        _bound(figure, figure.floor),
        figure.verdict,
    )


def _bound(figure: Figure, bound: float | None) -> str:
    return "" if bound is None else f"{'≥' if figure.more_is_better else '≤'} {bound:g}"
