"""numpy's encodings (to come)."""

from persistable.canonical import Emitter


def numpy_emitter(cls: type) -> Emitter | None:
    return None
