"""What a run tells of itself is its own."""

import subprocess
import sys

import numpy as np
import pytest

from indexer.report import peak_memory_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak of a started process is its own anyway")
def test_peak_memory_is_not_that_of_the_process_that_started_this_one() -> None:
    code = "from indexer.report import peak_memory_bytes; print(peak_memory_bytes())"
    large = np.ones(60_000_000)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert peak_memory_bytes() > large.nbytes
    assert 1_000_000 < int(done.stdout) < large.nbytes
