"""The choice of a device."""

import pytest
import torch

from lectures_lib.device import resolve_device

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_auto_takes_a_gpu_when_there_is_one():
    assert resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_named_device_is_taken_literally():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")


@no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")], ids=str)
def test_a_gpu_that_is_not_there_is_refused_with_the_remedy(device):
    with pytest.raises(ValueError, match=r"cuda.*needs a CUDA GPU.*'auto' or 'cpu'"):
        resolve_device(device)


@pytest.mark.parametrize("device", ["abacus", None, 0.5])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(ValueError, match=f"device={device!r} is unknown: use 'auto'"):
        resolve_device(device)
