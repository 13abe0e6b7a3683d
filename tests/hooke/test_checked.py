"""Files of arrays under checksums."""

import json
from pathlib import Path

import numpy as np
import pytest

from hooke.vectors.checked import FAULTS, digest, read_about, read_arrays, write_arrays

ABOUT = {"format": 1, "of": "é"}
ARRAYS = (
    np.arange(5, dtype=np.int64),
    np.linspace(0, 1, 4),
    np.zeros((0, 3), np.float32),
    np.eye(3, dtype=np.uint8),
)


def test_arrays_are_read_as_they_were_written_also_those_without_values_and_those_of_columns(tmp_path: Path) -> None:
    for arrays in (ARRAYS, (np.arange(12, dtype=np.int32).reshape(3, 4).T, *ARRAYS[2:])):
        write_arrays(tmp_path / "new" / "file", {**ABOUT, "more": 2}, arrays)
        about, read = read_arrays(tmp_path / "new" / "file", ABOUT)
        assert about["more"] == read_about(tmp_path / "new" / "file", ABOUT)["more"] == 2
        assert [array.dtype for array in read] == [array.dtype for array in arrays]
        for array, expected in zip(read, arrays, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["|O", "<U4", "nonsense"])
def test_values_that_are_no_numbers_are_refused_whatever_the_checksums_say(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    write_arrays(path, ABOUT, ARRAYS)
    header, rest = path.read_bytes().split(b"\n", 1)
    body = json.loads(header)["body"]
    body["arrays"][0][0] = kind
    path.write_bytes(json.dumps({"body": body, "sha256": digest(body)}).encode().ljust(len(header)) + b"\n" + rest)
    with pytest.raises(ValueError, match="type"):
        read_arrays(path, ABOUT)


@pytest.mark.parametrize("content", [b"", b"[]\n", b"{}\n", b'{"body": 3, "sha256": ""}\n', b"[" * 100_000 + b"\n"])
def test_what_is_no_such_file_raises_what_is_promised(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    for read in (read_arrays, read_about):
        with pytest.raises(FAULTS):
            read(tmp_path / "file", ABOUT)
