"""The edge's configuration, judged by Envoy itself."""

import subprocess
from pathlib import Path

from weft_cli.stack import envoy
from weft_cli.stack.ports import ports


def test_envoy_accepts_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "envoy.yaml"
    file.write_text(envoy.config(ports(7400, 3), ["127.0.0.1:7400", "127.0.0.1:7440", "127.0.0.1:7444"]))
    verdict = subprocess.run([*envoy.command(file), "--mode", "validate"], capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stderr
    assert verdict.stdout == f"configuration '{file}' OK\n"
