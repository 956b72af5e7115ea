"""A storage compared with a dict, by random calls in random order: a Hypothesis state machine. Used by StorageTests."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, precondition, rule, run_state_machine_as_test

from persistable.storage import Storage
from persistable.testing.equality import difference

__all__ = ["compare_with_dict"]

# no name is a folder of another one
NAMES = ("a", "ab", "b/c", "b/ä ö", "b/d/100% sure?#1", "b c/+~'.")
FOLDERS = ("", "a", "b", "b/d", "b c", "none")
CONTENT = st.binary(max_size=50) | st.sampled_from([b"", b"x", b"y" * 70_000])


def compare_with_dict(storage: Storage, scratch: Path, *, examples: int, steps: int) -> None:
    """Do the same to a storage and to a dict, and fail where their answers differ."""
    capabilities, numbers = storage.capabilities, itertools.count()
    folders = (f"machine/{number}" for number in itertools.count())

    class Machine(RuleBasedStateMachine):
        """One example: a folder of its own, and what should be in it."""

        seen = Bundle("seen")

        def __init__(self) -> None:
            super().__init__()
            self.folder, self.model = next(folders), dict[str, bytes]()

        def at(self, name: str) -> str:
            return f"{self.folder}/{name}" if name else self.folder

        @rule(name=st.sampled_from(NAMES), data=CONTENT)
        def put(self, name: str, data: bytes) -> None:
            storage.put(self.at(name), data)
            self.model[name] = data

        @rule(name=st.sampled_from(NAMES), data=CONTENT)
        def put_file(self, name: str, data: bytes) -> None:
            path = scratch / f"up-{next(numbers)}"
            path.write_bytes(data)
            storage.put_file(self.at(name), str(path))
            self.model[name] = data
            path.unlink()

        @precondition(lambda _: capabilities.create_exclusive)
        @rule(name=st.sampled_from(NAMES), data=CONTENT)
        def put_if_absent(self, name: str, data: bytes) -> None:
            assert storage.put_if_absent(self.at(name), data) is (name not in self.model)
            self.model.setdefault(name, data)

        @rule(target=seen, name=st.sampled_from(NAMES))
        def stat(self, name: str) -> object:
            if name not in self.model:
                with pytest.raises(FileNotFoundError):
                    storage.stat(self.at(name))
                return multiple()
            entry = storage.stat(self.at(name))
            assert (entry.name, entry.bytes) == (self.at(name), len(self.model[name]))
            return multiple() if entry.version is None else (name, entry.version)

        @precondition(lambda _: capabilities.replace_matching)
        @rule(known=seen, data=CONTENT)
        def put_if_match(self, known: tuple[str, str], data: bytes) -> None:
            name, version = known
            current = storage.stat(self.at(name)).version if name in self.model else None
            replaced = storage.put_if_match(self.at(name), data, version)
            assert replaced is (version == current)
            if replaced:
                self.model[name] = data

        @rule(name=st.sampled_from(NAMES))
        def get(self, name: str) -> None:
            if name in self.model:
                assert difference(storage.get(self.at(name)), self.model[name], name) is None
            else:
                with pytest.raises(FileNotFoundError):
                    storage.get(self.at(name))

        @rule(name=st.sampled_from(NAMES))
        def fetch(self, name: str) -> None:
            path = scratch / f"down-{next(numbers)}"
            if name in self.model:
                storage.fetch(self.at(name), str(path), len(self.model[name]))
                assert difference(path.read_bytes(), self.model[name], name) is None
            else:
                with pytest.raises(FileNotFoundError):
                    storage.fetch(self.at(name), str(path), 1)
            path.unlink(missing_ok=True)

        @rule(name=st.sampled_from(NAMES))
        def delete(self, name: str) -> None:
            storage.delete(self.at(name))
            self.model.pop(name, None)

        @rule(folder=st.sampled_from(FOLDERS))
        def list(self, folder: str) -> None:
            below = {name for name in self.model if not folder or name.startswith(f"{folder}/")}
            listed = [(entry.name, entry.bytes) for entry in storage.list(self.at(folder))]
            assert sorted(listed) == sorted((self.at(name), len(self.model[name])) for name in below)

        def teardown(self) -> None:
            for folder in FOLDERS:
                self.list(folder)
            for name in self.model:
                assert difference(storage.get(self.at(name)), self.model[name], name) is None
                storage.delete(self.at(name))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],  # an explanation would take many more calls
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
            print_blob=False,
        ),
    )
    assert os.listdir(scratch) == []
