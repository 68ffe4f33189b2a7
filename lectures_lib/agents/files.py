"""An agent's file: written whole or not at all, and read with the truth about what is wrong.

A file is a zip that torch writes, and holds nothing but tensors and Python's own values, so that
reading it never runs anybody's code.
"""

from __future__ import annotations

import os
import pickle
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..economies.alone import Alone
from ..economies.base import Economy, map_state
from ..economies.play import Policy
from ..parameters import described, parameters_of, seeded

#: What a file looks like. Format 2 tells an economy by its parameters; format 1, which says
#: neither format nor version, by its `repr`.
FORMAT = 2
#: What every file has, beside the learning state that `Agent._state` returns.
HEADER = ("agent", "economy", "config", "seeds", "single", "device")
_READABLE = (type(None), bool, int, float, str)
_ZIP = b"PK\x03\x04"
_FOLDER = 0x10
_THIS = f"lectures_lib {__version__}"
# A policy is told by what it does in so many economies in so many periods, and is the same if its
# actions are, but for rounding: shares of the largest.
_ECONOMIES, _PERIODS, _ROUNDING = 64, 4, 1e-5


def header(agent) -> dict[str, Any]:
    """What a file says of an agent, beside what changes while it learns."""
    config = {f.name: described(getattr(agent.config, f.name)) for f in fields(agent.config)}
    return {
        "format": FORMAT,
        "version": __version__,
        "agent": type(agent).__name__,
        "economy": _told(agent.economy, agent.device),
        "config": config,
        "seeds": list(agent.seeds),
        "single": agent.runs is None,
        "device": agent.device.type,
    }


def _told(economy: Economy, device: torch.device) -> Any:
    """An economy's parameters; in :class:`Alone`, what the others' policy does."""
    if not isinstance(economy, Alone):
        return described(economy)
    parts: dict[str, Any] = {"kind": type(economy).__name__}
    for name, value in parameters_of(economy).items():
        if name == "economy":
            parts[name] = _told(value, device)
        elif name == "policy":
            parts[name] = _deeds(value, economy.economy, device)
        else:
            parts[name] = described(value)
    return parts


@torch.no_grad()
def _deeds(policy: Policy, economy: Economy, device: torch.device) -> dict[str, Any]:
    """What a policy does where an economy begins and in the periods that follow, by role."""
    luck = seeded(0)  # the CPU's, which is the same everywhere

    def drawn(draw):
        return map_state(lambda x: x.to(device), draw((_ECONOMIES,), luck))

    state, done = drawn(economy.reset), []
    for _ in range(_PERIODS):
        actions = policy(state)
        done.append(actions)
        state = economy.step(state, actions, drawn(economy.draw)).state
    return {"kind": "a policy, told by its actions"} | {
        role: torch.stack([actions[role] for actions in done]).double().cpu()
        for role in economy.roles
    }


def place(path: str | Path) -> Path:
    """Where an agent is to be stored, told before it has learned anything if it cannot be there.

    Raises
    ------
    IsADirectoryError
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder: name a file in it, such as {path / 'agent.pt'}."
        )
    return path


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write to a file beside `path`, and move it there when it is complete.

    Raises
    ------
    TypeError
        If something in it could not be read again; the message says where.
    """
    for place, value in _leaves("agent", content):
        if not (isinstance(value, Tensor) or type(value) in _READABLE):
            raise TypeError(
                f"{place} is a {type(value).__name__}, which no file can give back: make it a "
                "tensor, or a number or string of Python's own."
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _leaves(place: str, x) -> Iterator[tuple[str, Any]]:
    """All that is no container, and where it stands."""
    if isinstance(x, Mapping):
        for key, value in x.items():
            yield from _leaves(f"{place}[{key!r}]", value)
    elif isinstance(x, list | tuple):
        for i, value in enumerate(x):
            yield from _leaves(f"{place}[{i}]", value)
    else:
        yield place, x


def _require_whole(path: Path, not_ours: str) -> None:
    """Refuse what is no zip of torch's, or is not what was written; torch itself does not look."""
    with path.open("rb") as file:
        beginning = file.read(len(_ZIP))
    if beginning != _ZIP:
        raise ValueError(f"{not_ours}: it begins with {beginning!r} and not with {_ZIP!r}.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries, broken = archive.infolist(), archive.testzip()
    except Exception as error:  # of many kinds, by which byte of the zip has changed
        raise ValueError(_damaged(path, error)) from error
    # An entry that passes for a folder is not read at all, and its numbers are anything.
    broken = broken or next((e.filename for e in entries if e.external_attr & _FOLDER), None)
    if broken is not None:
        raise ValueError(_damaged(path, f"{broken} is not what was written"))
    names = [entry.filename for entry in entries]
    if not any(name.endswith("/data.pkl") for name in names):
        raise ValueError(f"{not_ours}: it is a zip of other things, {names[:3]}.")


def read(path: Path, agent: str, device: torch.device) -> dict[str, Any]:
    """What is in a file.

    Parameters
    ----------
    path : Path
    agent : str
        Name of the class that is to be read.
    device : torch.device

    Raises
    ------
    OSError
        If the file is not there, or cannot be opened.
    ValueError
        If it is no saved agent, is damaged, is one of another class, or of a later version.
    """
    not_ours = f"{path} is not a file written by {agent}.save"
    _require_whole(path, not_ours)
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        cause = str(error).split("WeightsUnpickler error: ")[-1].split(". Please use")[0]
        raise ValueError(
            f"{path} holds more than tensors and Python's own values, and is not read, because "
            f"that could run code ({cause.strip()}). {agent}.save writes no such file; before "
            "format 2 it did where a setting was a number of NumPy's, and such an agent has to "
            "learn anew."
        ) from error
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error):  # such as too little memory on the device
            raise
        raise ValueError(_damaged(path, error)) from error
    ours = isinstance(content, dict) and "agent" in content
    if not ours or not isinstance(content.get("format", 1), int):
        raise ValueError(f"{not_ours}: it holds something else.")
    if content.get("format", 1) > FORMAT:
        raise ValueError(
            f"{path} has format {content['format']} and was written by {_writer(content)}; this is "
            f"{_THIS}, which reads formats up to {FORMAT}. Install the version that wrote it, or a "
            "later one."
        )
    lacking = [name for name in HEADER if name not in content]
    if lacking:
        raise ValueError(f"{not_ours}: it lacks {lacking}.")
    if content["agent"] != agent:
        kind = content["agent"]
        raise ValueError(f"{path} holds a {kind}: load it with {kind}.load.")
    return content


def _writer(content) -> str:
    return f"lectures_lib {content.get('version', 'before 0.1.0')}"


def _damaged(path, cause) -> str:
    return f"{path} is damaged or incomplete ({cause}): take another copy of it, or learn anew."


def require_same_economy(
    path: Path, content: Mapping[str, Any], economy: Economy, device: torch.device
) -> None:
    """Refuse an economy whose parameters are not those of the file.

    Parameters
    ----------
    path : Path
    content : dict
        What is in the file.
    economy : Economy
    device : torch.device
        Where it will be used.

    Raises
    ------
    ValueError
        The message names each parameter that differs, and both values.
    """
    stored = content["economy"]
    if isinstance(stored, str):
        stored, here = _first_format(stored), _first_format(repr(economy))
    else:
        here = _told(economy, device)
    differences = list(_differences("economy", stored, here))
    if differences:
        raise ValueError(
            f"{path} was trained in another economy, by {_writer(content)} (this is {_THIS}):\n  "
            + "\n  ".join(differences)
            + "\nMake the economy with the file's values."
        )


def _first_format(economy: str) -> str:
    """How format 1 tells an economy, with numbers written alike whoever made them."""
    plain = re.sub(r"np\.\w+\((.*?)\)", r"\1", economy)
    return re.sub(r"(?<![\w.])\d+(?![\w.])", r"\g<0>.0", plain)


def _differences(name: str, stored, here) -> Iterator[str]:
    """One sentence for each value that differs."""
    if isinstance(stored, Tensor) and isinstance(here, Tensor):
        yield from _other_actions(name, stored.cpu(), here)
    elif _kind(stored) == _kind(here) is not None:
        for key, value in (stored | here).items():
            if key in stored and key in here:
                yield from _differences(f"{name}.{key}", stored[key], here[key])
            else:
                where = ["in the file", "here"][:: 1 if key in stored else -1]
                yield f"{name}.{key} is {value!r} {where[0]} and unknown {where[1]}"
    elif stored != here:
        stored, here = (_kind(x) or repr(x) for x in (stored, here))
        yield f"{name} is {stored} in the file and {here} here"


def _kind(told) -> str | None:
    """Of what is described by a dict; None if it is no such thing."""
    return told.get("kind", "a dict") if isinstance(told, dict) else None


def _other_actions(name: str, stored: Tensor, here: Tensor) -> Iterator[str]:
    """A sentence if actions differ by more than rounding."""
    shapes = [tuple(x.shape[2:]) for x in (stored, here)]
    if stored.shape != here.shape:
        yield f"{name} acts in the shape {shapes[0]} in the file and {shapes[1]} here"
        return
    gap = (stored - here).abs().max()
    if not gap <= _ROUNDING * stored.abs().max():
        yield f"{name} acts otherwise in the file than here, by up to {gap:.2g} in a period"


@contextmanager
def fitting(path: Path, content: Mapping[str, Any]):
    """While inside, an error means that what a file holds does not fit the agent made from it,
    unless memory has run out.

    Raises
    ------
    ValueError
        From the error; the message tells it.
    """
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:
        cause = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path} does not fit a {content['agent']} of this version: {cause}. It was written by "
            f"{_writer(content)}, and this is {_THIS}: load it with the version that wrote it, or "
            "learn anew."
        ) from error


def settings(
    path: Path, content: Mapping[str, Any], config_class: type, added: Mapping[str, Any]
) -> Any:
    """The config in a file.

    Parameters
    ----------
    path : Path
    content : dict
        What is in the file.
    config_class : type
    added : dict
        Settings that the file lacks, by name.

    Raises
    ------
    ValueError
        If the file lacks a setting, has one that is not known, or one whose value is refused.
    """
    stored, kind = content["config"], config_class.__name__
    known = {field.name: field for field in fields(config_class)}
    versions = f"It was written by {_writer(content)}, and this is {_THIS}"
    unknown = sorted(stored.keys() - known.keys())
    if unknown:
        raise ValueError(
            f"{path} has settings that {kind} does not know: "
            f"{', '.join(f'{name}={stored[name]!r}' for name in unknown)}. {versions}: load it "
            "with the version that wrote it."
        )
    twice = sorted(added.keys() & stored.keys() | added.keys() - known.keys())
    if twice:
        raise ValueError(
            f"settings={dict(added)!r}: expected only what {path} lacks, and not {twice}."
        )
    missing = [name for name in known if name not in stored and name not in added]
    if missing:
        raise ValueError(
            f"{path} lacks settings of {kind}: {', '.join(missing)}. {versions}: load it with the "
            "version that wrote it, or say what they were, as in settings={"
            f"{missing[0]!r}: ...}}."
        )
    try:
        return config_class(**stored, **added)
    except ValueError as error:
        raise ValueError(f"{path} has settings that {kind} refuses: {error} {versions}.") from error
