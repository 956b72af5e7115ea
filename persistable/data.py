"""The 1.x import path of params."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from persistable.encodable import DictEncodable
from persistable.params import PersistableParams

__all__ = ["DictEncodable", "PersistableParam", "PersistableParams"]

ParamTypeT = TypeVar("ParamTypeT")


class PersistableParam(Generic[ParamTypeT]):
    """Wrap the value of a param; ``exclude_from_file_hash`` leaves the value out of the key. New code: ``param()``."""

    def __init__(self, param: ParamTypeT, exclude_from_file_hash: bool = False) -> None:
        self.param = param
        self.exclude_from_file_hash = exclude_from_file_hash

    def __persistable_params__(self) -> dict[str, Any]:
        return {} if self.exclude_from_file_hash else {"param": self.param}
