"""What model calls cost, and the table of prices that the environment gives."""

from decimal import Decimal
from pathlib import Path

import pytest
from weft_agent_runner.domain.agent import AgentVersion, Equipment
from weft_agent_runner.domain.model import ModelUsage
from weft_agent_runner.domain.prices import ModelPrice
from weft_agent_runner.domain.run import Usage
from weft_agent_runner.price_table import prices_from
from weft_agent_runner.settings import RunnerSettings
from weft_grpckit.settings import load_settings

PRICE = ModelPrice(input=Decimal("0.25"), cached_input=Decimal("0.025"), output=Decimal(2))


@pytest.mark.parametrize(
    ("usage", "micros"),
    [
        (ModelUsage(0, 0), 0),
        (ModelUsage(1_000_000, 0), 250_000),
        (ModelUsage(0, 1_000_000), 2_000_000),
        (ModelUsage(1_000, 10, cached_input_tokens=400), 180),  # 600 × 0.25 + 400 × 0.025 + 10 × 2
        (ModelUsage(2, 0), 1),  # half a millionth is rounded up
        (ModelUsage(1, 0), 0),
        (ModelUsage(10, 0, cached_input_tokens=99), 0),  # no more than all can be cached
    ],
)
def test_a_call_costs_its_tokens_at_their_prices(usage: ModelUsage, micros: int) -> None:
    assert PRICE.cost_micros(usage) == micros


def test_a_call_without_figures_or_price_has_no_cost() -> None:
    assert Equipment(AgentVersion(), "m", price=PRICE).cost_micros(None) is None
    assert Equipment(AgentVersion(), "m").cost_micros(ModelUsage(1, 1)) is None


def test_usage_of_a_run_counts_each_call_once() -> None:
    usage = Usage().with_begun_call().with_ended_call(ModelUsage(4, 5, 1), 7)
    usage = usage.with_begun_call().with_ended_call(ModelUsage(1, 1), None)
    usage = usage.with_begun_call().with_ended_call(None)
    assert usage == Usage(5, 6, 1, 3, unmetered_model_calls=1, cost_micros=7, unpriced_model_calls=1)


def test_table_is_json_or_a_file_of_it(tmp_path: Path) -> None:
    text = '{"gpt": {"input": 0.25, "cached_input": 0.025, "output": 2}, "own": {"input": "0.1", "output": 0}}'
    (tmp_path / "prices.json").write_text(text)
    own = ModelPrice(Decimal("0.1"), Decimal("0.1"), Decimal(0))
    assert prices_from(text) == prices_from(str(tmp_path / "prices.json")) == {"gpt": PRICE, "own": own}
    assert prices_from("") == {}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no-such-file.json", "No such file"),
        ("{", "table: Invalid JSON"),
        ('{"m": {"input": 1}}', "m.output: Field required"),
        ('{"m": {"input": -1, "output": 1}}', "m.input: Input should be greater"),
        ('{"m": {"input": 1, "output": 1, "per": "token"}}', "m.per: Extra inputs"),
    ],
)
def test_a_wrong_table_stops_the_runner_at_its_start(
    value: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "ab" * 32)
    monkeypatch.setenv("WEFT_MODEL_PRICES", value)
    with pytest.raises(SystemExit):
        load_settings(RunnerSettings)
    said = capsys.readouterr().err
    assert said.startswith("WEFT_MODEL_PRICES: ")
    assert told in said
