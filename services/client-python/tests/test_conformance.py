"""The protocol's rules, by the kit that the TypeScript client passes too (services/client/conformance)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KIT = HERE.parents[1] / "client" / "conformance" / "main.ts"
NODE = os.environ.get("PARLEY_NODE", "node")


@pytest.mark.skipif(not KIT.exists(), reason="the kit is in Parley's repository, not in the package")
def test_every_rule_of_the_protocol_is_kept() -> None:
    driver = [sys.executable, str(HERE / "driver.py")]
    run = subprocess.run([NODE, str(KIT), "--json", "--", *driver], capture_output=True, text=True)
    assert json.loads(run.stdout)["failed"] == [], run.stderr
    assert run.stderr == ""
