"""The settings of `make test-rounding` round numbers as other processors do.

A setting that changes nothing here is skipped by name: what the tests under it say is then no more
than what `make test` says.
"""

import json
import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text()
ROUNDINGS = {
    name: dict(re.findall(r"(\w+)=(?:\$\(or \$\(\w+\),)?(\w+)", settings))
    for name, settings in re.findall(r"^(ROUNDING_\w+)\s*:=((?:.*\\\n)*.*)$", MAKEFILE, re.M)
}
SETTINGS = sorted({pair for settings in ROUNDINGS.values() for pair in settings.items()})
NUMBERS = """
import json, numpy as np, scipy.linalg, torch
numbers = []
for dtype in [torch.float32, torch.float64]:
    x = torch.randn(67, 67, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x.to(dtype) + 10 * torch.eye(67, dtype=dtype)  # far from singular
    for y in [x.sum(0), x.exp().sum(1), x.softmax(-1), x.abs() ** 0.3, x @ x, torch.linalg.inv(x)]:
        numbers += y.flatten().tolist()
    for y in [x.numpy() @ x.numpy(), np.linalg.inv(x), scipy.linalg.inv(x)]:
        numbers += y.flatten().tolist()
print(json.dumps(numbers))
"""


@cache
def numbers(*settings):
    """Sums, powers, products and inverses by torch, NumPy and SciPy, found by a new process."""
    command = [sys.executable, "-c", NUMBERS]
    environ = os.environ | {"OMP_NUM_THREADS": "1"} | dict(settings)
    found = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    return np.array(json.loads(found.stdout))


@pytest.mark.parametrize("setting", SETTINGS, ids="=".join)
def test_a_setting_changes_the_last_digits_and_no_others(setting):
    usual, others = numbers(), numbers(setting)
    if np.array_equal(usual, others):
        pytest.skip(f"{'='.join(setting)} has no effect on this machine")
    # Sums of 67 numbers of size one, by single precision, whose steps are 1.2e-7 wide.
    np.testing.assert_allclose(others, usual, rtol=1e-4, atol=67 * 1.2e-7)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no kernels to choose")
def test_two_machines_are_had_whichever_this_one_is():
    assert set(ROUNDINGS) == {"ROUNDING_SSE", "ROUNDING_AVX2"}
    sse, avx2 = [numbers(*settings.items()) for settings in ROUNDINGS.values()]
    assert not np.array_equal(sse, avx2)
