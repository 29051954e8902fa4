"""Recording and observing values."""

from weft_telemetry import names
from weft_telemetry.metrics import MAX_VALUES, observe, recorder
from weft_telemetry.names import METRICS, Kind, Metric
from weft_testkit.recorded_telemetry import recorded_telemetry

BY_TENANT = Metric("weft.test", Kind.COUNTER, "{call}", "Of a test.", (names.TENANT, "tool"), bounded=(names.TENANT,))
NOW = Metric("weft.now", Kind.GAUGE, "{thing}", "Of a test.", ("colour",))


def test_values_are_recorded_under_their_attributes_and_none_leaves_one_out() -> None:
    with recorded_telemetry() as recorded:
        record = recorder(BY_TENANT)
        record(1, "a", "search")
        record(2, "a", "search")
        record(1, "b", None)
        points = {tuple(point.attributes.items()): point.value for point in recorded.points(BY_TENANT)}
    assert points == {((names.TENANT, "a"), ("tool", "search")): 3, ((names.TENANT, "b"),): 1}


def test_an_attribute_that_others_choose_takes_a_bounded_number_of_values() -> None:
    with recorded_telemetry() as recorded:
        record = recorder(BY_TENANT)
        for number in range(MAX_VALUES + 50):
            record(1, f"tenant {number}", "search")
        record(1, "tenant 0", "search")
        found = {point.attributes[names.TENANT]: point.value for point in recorded.points(BY_TENANT)}
    assert len(found) == MAX_VALUES + 1
    assert (found["tenant 0"], found[names.OTHER]) == (2, 50)


def test_what_is_kept_anyway_is_asked_for_when_somebody_looks() -> None:
    with recorded_telemetry() as recorded:
        observe(NOW, lambda: [(2, ("red",)), (3, ("blue",))])
        points = [(dict(point.attributes), point.value) for point in recorded.points(NOW)]
    assert points == [({"colour": "red"}, 2), ({"colour": "blue"}, 3)]


def test_every_metric_has_its_own_name_and_names_only_attributes_that_it_has() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(set(metric.bounded) <= set(metric.attributes) for metric in METRICS)
    assert all(metric.buckets == () or metric.kind is Kind.HISTOGRAM for metric in METRICS)
