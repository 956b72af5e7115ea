"""Which plugin encodes params of a type that the core has no encoding for; one that cannot be used says why."""

from __future__ import annotations

from persistable.canonical import Refusal
from persistable.choice import resolve
from persistable.discovery import Plugin, canonical_name, describe, load_object
from persistable.encoding import ParamEncoder
from persistable.specs import EncoderSpec
from persistable.table import FIRST_PARTY_ENCODERS, Table

__all__ = ["param_encoder"]


def param_encoder(cls: type, table: Table, looked_for: bool) -> ParamEncoder | None:
    """Return the encoder of a type, imported now, or None; see ``Registry.param_encoder``.

    ``looked_for`` is whether the table has all plugins that are installed.
    """
    claims = [(spec, plugin) for spec, plugin in table.encoders if any(resolve(name) is cls for name in spec.types)]
    if len(claims) == 1:
        spec, plugin = claims[0]
        namesakes = [other for other in table.encoders if other[0].name == spec.name]
        if len(namesakes) > 1:
            return _refusing(_both(namesakes, f"the name {spec.name!r}"))
        return _encoder(spec, plugin)
    if claims:
        return _refusing(_both(claims, "it"))
    distribution = FIRST_PARTY_ENCODERS.get(cls.__module__.partition(".")[0])
    if distribution is None:
        return None
    rows = [plugin for plugin in table.plugins if canonical_name(plugin.distribution) == distribution]
    if not rows and not looked_for:
        return _refusing(
            f"it is encoded by {distribution}, which was not looked for: leave out discover=False, or add() it"
        )
    if not rows:
        return _refusing(f"it is encoded by {distribution}, which is not installed; pip install {distribution}")
    if rows[0].status == "loaded":
        return None
    state = "switched off" if rows[0].error is None else f"broken: {describe(rows[0].error)}"
    return _refusing(f"it is encoded by {distribution}, which is installed and {state}")


def _encoder(spec: EncoderSpec, plugin: Plugin) -> ParamEncoder:
    """Return a plugin's encoder, whose errors say whose they are."""
    try:
        encode = load_object(spec.encode)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it becomes the reason
        return _refusing(f"the encoder {spec.name!r} of {plugin.label} is installed but broken: {describe(error)}")

    def encode_or_refuse(value: object) -> object:
        try:
            return encode(value)
        except Exception as error:
            raise Refusal(value, f"the encoder {spec.name!r} of {plugin.label} says {describe(error)}") from error

    def locate(value: object, steps: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(load_object(spec.locate or "")(value, steps))
        except Exception:  # noqa: BLE001 - what is refused, and why, is to be said in any case
            return steps

    return ParamEncoder(spec.name, spec.version, encode_or_refuse, locate if spec.locate else None)


def _refusing(reason: str) -> ParamEncoder:
    def refuse(value: object) -> object:
        raise Refusal(value, reason)

    return ParamEncoder("none", 1, refuse)


def _both(claims: list[tuple[EncoderSpec, Plugin]], what: str) -> str:
    names = " and ".join(f"{spec.name!r} of {plugin.label}" for spec, plugin in claims)
    off = claims[0][1].distribution
    return f"the encoders {names} both claim {what}, so neither has it; PERSISTABLE_DISABLE_PLUGINS={off}"
