"""The README's example runs, with nothing but another bucket, and the tables say what is so."""

import re
from pathlib import Path

import pytest
from persistable_obstore import ObjectStorage
from servers.moto import KEY, REGION, SECRET, Moto

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_example_runs(moto: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Endpoint and credentials come from the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("PERSISTABLE_CACHE", str(tmp_path))
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    code = blocks[0].replace("s3://bucket/", f"s3://{moto.bucket()}/").replace("eu-central-1", REGION)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


def test_capabilities_are_those_of_the_table() -> None:
    """Each has a row, with what the class declares."""
    for name, declared in ObjectStorage.capabilities._asdict().items():
        row = re.search(rf"^\| `{name}` \| (\w+)", README, re.MULTILINE)
        assert row is not None, name
        assert (row[1] == "yes") is declared, name
