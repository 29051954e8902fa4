"""Settings of a runner: a key that no HTTP header can carry is told at the start, not by each run."""

import pytest
from weft_agent_runner.settings import RunnerSettings
from weft_grpckit.settings import load_settings


@pytest.mark.parametrize("key", ["", "none", "sk-proj-0aZ_9-"])
def test_key_that_fits_a_header_is_taken(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "ab" * 32)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert load_settings(RunnerSettings).openai_api_key.get_secret_value() == key


@pytest.mark.parametrize("key", ["sk-…", "sk-key\n", "Bearer sk-key"])
def test_key_that_no_header_can_carry_is_told_without_its_value(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "ab" * 32)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(SystemExit) as caught:
        load_settings(RunnerSettings)
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert told.startswith("OPENAI_API_KEY: must be ASCII")
    assert key not in told
