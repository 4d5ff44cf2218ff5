"""Pickles of an ``Elmo``: the names of its files, or its parameters if it has none."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from ..checkpoint import Opened, is_model_path, open_source
from ..errors import ElmoError
from ..forking import check_process
from ..model.parameters import model_digest

DeviceNames = list[tuple[str, int]]
"""Devices by platform and number."""


def device_names(devices: Sequence[jax.Device] | None) -> DeviceNames | None:
    """What a pickle says of the devices; None for the default."""
    return [(device.platform, device.id) for device in devices] if devices else None


def unpickle(
    kind: Any,
    files: Mapping[str, Any],
    model: Opened | str,
    precision: str,
    devices: DeviceNames | None,
    tokenizer: str,
) -> Any:
    """An Elmo of this ``kind``. ``model`` is the digest of what its ``files`` hold, if it has any.

    An error here would be lost in a multiprocessing.Pool, which would then wait for ever. So the
    first use of the Elmo raises it.
    """
    elmo = kind.__new__(kind)
    try:
        check_process()
        opened = _open_unchanged(files, model) if isinstance(model, str) else model
        elmo._set_up(opened, precision, _devices_here(devices), files, tokenizer)
    except ElmoError as error:
        elmo = kind.__new__(kind)  # without what was set up before the error
        elmo._failure = str(error)
    return elmo


def _open_unchanged(files: Mapping[str, Any], digest: str) -> Opened:
    opened = open_source(**files)
    if model_digest(opened.config, opened.params) != digest:
        paths = (files[name] for name in ("source", "options_file", "weight_file"))
        names = " and ".join(str(path) for path in paths if path is not None)
        raise ElmoError(
            f"The model {names or 'mini'} has changed since this Elmo was pickled. Open it again "
            "and pickle that; or pickle an Elmo.from_params(config, params), which takes its "
            "parameters along."
        )
    return opened


def _devices_here(names: DeviceNames | None) -> list[jax.Device] | None:
    """The devices with these platforms and numbers; None, for the default, if any is missing."""
    if names is None:
        return None
    try:
        local = {device.id: device for device in jax.local_devices(backend=names[0][0])}
    except RuntimeError:  # no such platform
        return None
    numbers = [number for _, number in names]
    return [local[number] for number in numbers] if {*numbers} <= local.keys() else None


def absolute(value: Any) -> Any:
    """The same path from any working folder; whatever is not a path here stays as it is."""
    if isinstance(value, Mapping):
        return {key: absolute(part) for key, part in value.items()}
    is_path = isinstance(value, str | os.PathLike) and is_model_path(Path(value))
    return Path(value).absolute() if is_path else value
