"""The command line of every question."""

import argparse
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from .record import provenance, store, stored, uncommitted
from .sweeping import journal
from .table import brief, table

#: A part of a question yields the names of its rows, and the rows. Its keyword arguments, all of
#: them integers with defaults, are options of the command line.
Part = Callable[..., Iterator[tuple[str, object]]]


def run(question: str, about: str, parts: Mapping[str, Part], argv: Sequence[str] | None = None):
    """Make the parts that the command line names, store each of them and print all as tables.

    Parameters
    ----------
    question : str
        The name of the folder and of the file of results.
    about : str
        What `--help` says before it lists parts.
    parts : dict of str to callable
    argv : sequence of str, optional
        Arguments of the command line, those of the process by default.

    Raises
    ------
    SystemExit
        If an argument is wrong, or if results would be stored that no commit has the code of.
    """
    parser = _parser(question, about, parts)
    arguments = parser.parse_args(argv)
    chosen, made = {name: parts[name] for name in arguments.only}, {}
    given = {o: x for o in _options(parts) if (x := getattr(arguments, o)) is not None}
    if unknown := given.keys() - _options(chosen).keys():
        parser.error(f"no part of {', '.join(chosen)} has the option --{min(unknown)}")
    if not arguments.print:
        made = _make(parser, question, chosen, given, arguments)
    results = stored(question) | made
    tables = (table(n, results[n]) if n in results else f"{n}: not stored yet" for n in chosen)
    print("\n\n".join(tables))


def _make(parser, question, parts, given, arguments) -> dict[str, dict]:
    trial = arguments.trial
    changed = "" if trial else uncommitted()
    if changed:
        parser.error(
            f"what is stored must be made by code that a commit holds, and these files differ:\n"
            f"{changed}\nCommit them, or add --trial, which stores nothing"
        )
    # The commit of now, and not of when a long part has ended.
    origin = {} if trial else provenance()
    # One thread each, so that parts may run side by side and their seconds are those of one core.
    torch.set_num_threads(1)
    made: dict[str, dict] = {}
    for name, part in parts.items():
        print(f"--- {name}", flush=True)
        settings = {option: given[option] for option in _options({name: part}) if option in given}
        made[name] = {}
        with journal(question, name, not trial, **_means(arguments)):
            for label, row in part(**settings):
                made[name][label] = row
                print(brief(label, row), flush=True)
            if not trial:
                options = "".join(f" --{option} {value}" for option, value in settings.items())
                command = f"{parser.prog} --only {name}{options}"
                store(question, name, made[name], {"command": command, **origin})
    return made


def _means(arguments) -> dict:
    """Where the runs of parts are made that are cells and seeds."""
    if arguments.ray:
        return {"engine": "ray", "address": arguments.ray}
    if arguments.processes > 1:
        return {"engine": "processes", "workers": arguments.processes}
    return {}


def _parser(question, about, parts) -> argparse.ArgumentParser:
    width = max(map(len, parts))
    lines = (f"  {name:{width}}  {inspect.getdoc(f).splitlines()[0]}" for name, f in parts.items())
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{question}",
        description=about,
        epilog="parts:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PART",
        choices=parts,
        default=list(parts),
        help="parts to make, or to print; all by default",
    )
    parser.add_argument("--print", action="store_true", help="show what is stored, make nothing")
    parser.add_argument("--trial", action="store_true", help="make and print, store nothing")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="make so many runs at a time, where a part has several",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="make them in a Ray cluster: its address, auto or local"
    )
    for option, defaults in _options(parts).items():
        by_value: dict[int, list[str]] = {}
        for part, value in defaults.items():
            by_value.setdefault(value, []).append(part)
        default = "; ".join(f"{value} for {', '.join(p)}" for value, p in by_value.items())
        parser.add_argument(f"--{option}", type=int, metavar="N", help=f"by default {default}")
    return parser


def _options(parts) -> dict[str, dict[str, int]]:
    """Defaults of each option by part."""
    found: dict[str, dict[str, int]] = {}
    for name, part in parts.items():
        for option in inspect.signature(part).parameters.values():
            found.setdefault(option.name, {})[name] = option.default
    return found
