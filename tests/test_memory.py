"""Size limits that are told before the work begins."""

import pytest

from lectures_lib import memory
from lectures_lib.economies import Monopolist


def test_what_fits_passes_and_what_does_not_says_how_much_and_what_to_do(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2_000_000_000)
    memory.require_memory(2_000_000_000, "cpu", "a table", "make it smaller")
    message = "a table would take 2.5 GB, and 2.0 GB of memory are free on cpu: make it smaller"
    with pytest.raises(MemoryError, match=message):
        memory.require_memory(2_500_000_000, "cpu", "a table", "make it smaller")


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: None)
    memory.require_memory(10**18, "cpu", "a table", "make it smaller")


def test_free_memory_is_some_of_what_there_is():
    assert 2**20 < memory.free_memory() < 2**50


def test_a_finite_version_that_is_too_fine_is_refused_before_it_is_written_out():
    with pytest.raises(MemoryError, match=r"2,000,000 states and 11 prices .* lower levels"):
        Monopolist(levels=1_000_000).tables()
