"""PluginTests, the promises that every plugin makes; subclass it once for each distribution."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from abc import ABC
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any, ClassVar

import pytest

from persistable.choice import resolve
from persistable.discovery import Plugin, canonical_name, load_object
from persistable.encoding import encode
from persistable.exceptions import UnkeyableParamError
from persistable.io import FileIO, format_name
from persistable.registry import Registry
from persistable.specs import EncoderSpec, FormatSpec, StorageSpec

__all__ = ["PluginTests", "param_digest"]

_NEW_MODULES = """
import importlib, json, sys
import pluggy, persistable, persistable.hookspecs
before = set(sys.modules)
hooks = importlib.import_module(sys.argv[1])
for name in ("persistable_formats", "persistable_storages", "persistable_param_encoders"):
    list(getattr(hooks, name, list)())
print(json.dumps(sorted(set(sys.modules) - before)))
"""

_UNRESOLVED = """
import importlib, json, sys
from persistable.choice import resolve
unresolved = []
for module, names in json.loads(sys.argv[1]).items():
    importlib.import_module(module)
    unresolved += [name for name in names if resolve(name) is None]
print(json.dumps(unresolved))
"""


def param_digest(value: object, registry: Registry) -> str:
    """Return the digest of a param's encoding, as 32 hex characters, for golden tests of param encoders."""
    return hashlib.sha256(encode(value, extend=registry.param_encoder).encode()).hexdigest()[:32]


class PluginTests(ABC):
    """Test a distribution's hooks module: it is cheap to load, and all that it declares is there.

    Attributes:
        hooks: import path of the hooks module, as the entry point names it.
        distribution: name of the distribution.
    """

    hooks: ClassVar[str]
    distribution: ClassVar[str]

    def golden_params(self) -> Sequence[tuple[Any, str | None]]:
        """Return params with the digest (``param_digest``) that their encoding has and keeps; some of each encoder.

        None in place of a digest: the encoder is there to refuse such params, and say why.
        """
        return ()

    # -- what it promises

    def test_hooks_module_imports_nothing_heavy(self) -> None:
        """Loading the hooks and asking them imports the plugin's own package, and nothing else that is installed."""
        new = json.loads(_run(_NEW_MODULES, self.hooks).splitlines()[-1])
        own = self.hooks.partition(".")[0]
        libraries = {name.partition(".")[0] for name in new} - sys.stdlib_module_names - {own, "persistable", "pluggy"}
        assert libraries == set(), f"{self.hooks} imports {sorted(libraries)}: import them where they are used"

    def test_hooks_are_accepted(self) -> None:
        """A registry takes the plugin, which declares something."""
        plugin = self._plugin()
        assert plugin.status == "loaded"
        assert (
            plugin.formats
            or plugin.storages
            or plugin.encoders
            or hasattr(importlib.import_module(self.hooks), "persistable_event")
        )

    def test_entry_point_names_the_hooks_module(self) -> None:
        """What is installed under the distribution's name has the entry point."""
        try:
            installed = metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{self.distribution} is not installed: nothing to look at")
        assert self.hooks in [entry.value for entry in installed.entry_points if entry.group == "persistable"]

    def test_io_is_a_file_io_with_the_declared_name_and_suffix(self) -> None:
        """Every declared FileIO is there, can be made without arguments, and is the format it is declared as."""
        for spec in self._plugin().formats:
            kind = load_object(spec.io)
            assert isinstance(kind, type), spec
            assert issubclass(kind, FileIO), spec
            assert (format_name(kind), kind().suffix) == (spec.name, spec.suffix)

    def test_formats_can_be_asked_for_by_name(self) -> None:
        """The registry gives every declared format to who asks for it."""
        registry = Registry(discover=False)
        for spec in self._plugin(registry).formats:
            choice = registry.named(spec.name)
            assert choice.executes_code is spec.executes_code
            assert type(choice.file_io()) is load_object(spec.io)

    def test_storages_can_be_asked_for_by_url(self) -> None:
        """The registry gives every declared storage to who has a URL of one of its schemes."""
        registry = Registry(discover=False)
        for spec in self._plugin(registry).storages:
            for scheme in spec.schemes:
                assert registry.storage(f"{scheme.replace('*', 'any')}://place/folder") is load_object(spec.storage), (
                    scheme
                )

    def test_declared_types_resolve_once_their_library_is_imported(self) -> None:
        """Whoever holds an object of a declared type has imported what makes its public name resolve."""
        kinds = {declared: _import_type(declared) for declared in self._types()}
        strangers = [declared for declared, kind in kinds.items() if not isinstance(kind, type)]
        assert strangers == [], "these are not types of installed libraries"
        for library in {declared.partition(".")[0] for declared in kinds}:
            modules: dict[str, list[str]] = {}
            for declared, kind in kinds.items():
                if isinstance(kind, type) and declared.partition(".")[0] == library:
                    modules.setdefault(kind.__module__, []).append(declared)
            unresolved = json.loads(_run(_UNRESOLVED, json.dumps(modules)).splitlines()[-1])
            assert unresolved == [], f"these do not resolve when what defines them is imported: {modules}"

    def test_no_two_formats_claim_a_type(self) -> None:
        """Which format a type gets does not depend on anybody's preference."""
        claimed = [_import_type(declared) for spec in self._plugin().formats for declared in set(spec.types)]
        assert len(set(claimed)) == len(claimed)

    def test_install_line_is_present(self) -> None:
        """Every declaration names the distribution that brings it, for the repair line of errors."""
        plugin = self._plugin()
        rows: list[FormatSpec | StorageSpec | EncoderSpec] = [*plugin.formats, *plugin.storages, *plugin.encoders]
        for spec in rows:
            assert spec.install is not None, spec
            assert canonical_name(spec.install) == canonical_name(self.distribution), spec

    def test_encoders_keep_their_golden_digests(self) -> None:
        """Params of every declared encoder are keyed today as they were, or still refused."""
        registry = Registry(discover=False)
        encoders, golden = self._plugin(registry).encoders, self.golden_params()
        kept = [(value, digest) for value, digest in golden if digest is not None]
        refused = [value for value, digest in golden if digest is None]
        texts = [encode(value, extend=registry.param_encoder) for value, _ in kept]
        for spec in encoders:
            tag = f'{{"$":"plugin","encoder":{json.dumps(spec.name)}'
            tried = any(resolve(declared) is type(value) for declared in spec.types for value in refused)
            assert tried or any(tag in text for text in texts), f"pin a digest for the encoder {spec.name!r}"
        assert [param_digest(value, registry) for value, _ in kept] == [digest for _, digest in kept]
        for value in refused:
            with pytest.raises(UnkeyableParamError):
                encode(value, extend=registry.param_encoder)

    # -- how

    def _plugin(self, registry: Registry | None = None) -> Plugin:
        registry = Registry(discover=False) if registry is None else registry
        return registry.add(importlib.import_module(self.hooks), name="tested", distribution=self.distribution)

    def _types(self) -> Iterable[str]:
        plugin = self._plugin()
        rows: list[FormatSpec | EncoderSpec] = [*plugin.formats, *plugin.encoders]
        return sorted({declared for spec in rows for declared in spec.types})


def _import_type(declared: str) -> object:
    parts = declared.split(".")
    for length in range(1, len(parts)):
        try:
            importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            break  # the rest are classes within
    return resolve(declared)


def _run(script: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(  # noqa: S603 - the interpreter that runs the tests, on a script of this module
        [sys.executable, "-P", "-c", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
