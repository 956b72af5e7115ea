"""Which storage serves a URL, and what is said where none does."""

from __future__ import annotations

import pytest
from installed import HOOKS, Site

from persistable import Registry
from persistable.exceptions import BrokenStorageError, UnknownStorageError
from persistable.schemes import meant_scheme

# of plugins that do not work everybody is warned, which is not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore:the plugin:persistable.exceptions.PluginWarning")

STORAGE = """
from persistable.storage import Storage

class Place(Storage):
    pass
"""


def install(site: Site, plugin: str, *schemes: str, distribution: str | None = None, source: str = STORAGE) -> None:
    """Install a plugin whose storage serves some schemes."""
    row = f"StorageSpec(schemes={schemes!r}, storage='{plugin}_storage:Place')"
    site.plugin(plugin, f"{HOOKS}@hookimpl\ndef persistable_storages():\n    return [{row}]", distribution)
    site.module(f"{plugin}_storage", source)


def serving(url: str) -> str:
    """Return the plugin whose storage serves a URL."""
    return Registry().storage(url).__module__.removesuffix("_storage")


def test_the_nearest_claim_serves_a_url(site: Site) -> None:
    """Whoever has the scheme itself, then its family, then whoever takes what is left; the case of a scheme is none."""
    install(site, "tape", "tape")
    install(site, "drawer", "drawer", "drawer+*")
    install(site, "drum", "drawer+drum")
    install(site, "attic", "*", "attic+*", distribution="persistable-fsspec")
    assert [serving(f"{scheme}://x") for scheme in ("tape", "TAPE")] == ["tape", "tape"]
    assert [serving(f"{scheme}://x") for scheme in ("drawer", "drawer+top", "drawer+drum")] == ["drawer"] * 2 + ["drum"]
    assert [serving(f"{scheme}://x") for scheme in ("chest", "chest+top", "attic+x")] == ["attic"] * 3


def test_a_scheme_that_two_claim_is_nobodys(site: Site) -> None:
    """The error names both, and the line that settles it; what one of them has alone it keeps."""
    install(site, "alpha", "tape", "reel")
    install(site, "beta", "tape")
    with pytest.raises(UnknownStorageError) as caught:
        Registry().storage("tape://user:password@x")
    assert str(caught.value) == (
        "alpha-dist 1.0 and beta-dist 1.0 each claim tape:// (tape://***@x), so none of them serves it; switch off all "
        "but one: PERSISTABLE_DISABLE_PLUGINS=alpha-dist"
    )
    assert caught.value.claims == ("alpha-dist 1.0", "beta-dist 1.0")
    assert serving("reel://x") == "alpha"
    assert Registry(disabled=["alpha-dist"]).storage("tape://x").__module__ == "beta_storage"


@pytest.mark.parametrize("scheme", ["s3", "fsspec+s3", "*", "file"])
def test_first_party_schemes_cannot_be_taken(site: Site, scheme: str) -> None:
    """A plugin that claims one is a failed one, with all that it declares."""
    install(site, "thief", scheme, "loot")
    [row] = [plugin for plugin in Registry().plugins if plugin.name == "thief"]
    if scheme == "fsspec+s3":  # of the family that is ours, a scheme itself is anybody's
        assert row.status == "loaded"
        return
    assert "belongs to persistable" in str(row.error)
    with pytest.raises(UnknownStorageError):
        Registry().storage("loot://x")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_client", "No module named 'no_such_client'"),
        ("Other = 1", "has no attribute 'Place'"),
        ("Place = dict", "is not a Storage"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_storage_that_cannot_be_used_is_broken(site: Site, source: str, reason: str) -> None:
    """Its distribution and the reason are named, without what may be a credential; nobody takes its place."""
    install(site, "tape", "tape", source=source)
    install(site, "attic", "*", distribution="persistable-fsspec")
    with pytest.raises(BrokenStorageError, match=r"tape-dist 1\.0.*does not work") as caught:
        Registry().storage("tape://me:opensesame@x")
    assert reason in caught.value.reason
    assert caught.value.__cause__ is not None
    assert "opensesame" not in str(caught.value)


def test_a_broken_first_party_storage_is_no_matter_for_the_catch_all(site: Site) -> None:
    """What was written by the one is not looked for by the other."""
    site.plugin("obstore", "raise ImportError('no obstore')", "persistable-obstore")
    install(site, "attic", "*", distribution="persistable-fsspec")
    with pytest.raises(BrokenStorageError, match=r"persistable-obstore.*no obstore"):
        Registry().storage("s3://bucket")
    assert serving("ftp://host") == "attic"


def test_a_scheme_that_nobody_serves_is_answered_with_what_to_do(site: Site) -> None:
    """What to install, or what was meant; and which plugin might have been the one."""
    known = {"s3": "persistable-obstore", "sftp": "persistable-sftp", "fsspec+x": "persistable-fsspec"}
    for scheme, install_line in known.items():
        with pytest.raises(UnknownStorageError) as caught:
            Registry().storage(f"{scheme}://x")
        assert (caught.value.install, caught.value.suggestion) == (install_line, None)
    install(site, "tape", "tape")
    site.plugin("broken", "raise ValueError('worn out')")
    with pytest.raises(UnknownStorageError) as caught:
        Registry().storage("tepe://x")
    assert (caught.value.install, caught.value.suggestion) == (None, "tape")
    assert caught.value.__notes__ == ["the plugin 'broken' of broken-dist 1.0 does not work: ValueError: worn out"]
    with pytest.raises(UnknownStorageError) as caught:
        Registry(disabled=["tape-dist"]).storage("tape://x")
    assert "the plugin 'tape' of tape-dist 1.0 is switched off" in caught.value.__notes__
    with pytest.raises(UnknownStorageError) as caught:
        Registry().storage("scp://host/x")
    assert (caught.value.install, caught.value.suggestion) == ("persistable-sftp", "sftp")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("s3a", "s3"), ("gcs", "gs"), ("wasbs", "az"), ("ssh", "sftp"), ("s4", "s3"), ("sfpt", "sftp"), ("xyz", None)],
)
def test_what_others_call_a_scheme_is_understood(written: str, meant: str | None) -> None:
    """Other tools' names, and slips of the pen."""
    assert meant_scheme(written) == meant
