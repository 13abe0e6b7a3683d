"""Images that hang or crash who reads them cost a line in the report, and nothing else."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hooke.errors import BackendUnavailable, TooLarge, UnreadableImage
from hooke.pixels import FileReader, Limits, pool
from hooke.settings import ReadingSettings
from indexer.embedding import EmbeddingRun
from indexer.pipeline import IndexJob, run
from indexer.report import Report
from tests.indexer.archives import MODEL, held, write_images, write_manifest
from tests.indexer.interrupted import signalling

SECONDS = 3.0
_ask = pool._ask


def index_all(index: Path, images: Path, seconds: float = SECONDS) -> Report:
    return run(IndexJob((images,), index, model=MODEL, reading=ReadingSettings(seconds)))


def signal_at(name: str, number: signal.Signals) -> Callable[..., object]:
    """Asking a process, which gets a signal before it is asked for the image of this name."""

    def ask(process: "subprocess.Popen[bytes]", request: pool.Answer, *rest: object) -> object:
        if str(request["path"]).endswith(name):
            process.send_signal(number)
        return _ask(process, request, *rest)  # type: ignore[arg-type]  # handed on as they came

    return ask


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        pytest.param(signal.SIGSTOP, "it took over 3 s to read", id="hangs"),
        pytest.param(signal.SIGKILL, "the process that read it crashed or was killed", id="crashes"),
    ],
)
def test_an_image_whose_reader_hangs_or_crashes_is_quarantined_and_read_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, reason: str
) -> None:
    images, index = write_images(tmp_path / "images", 9), tmp_path / "index"
    with monkeypatch.context() as patched:
        patched.setattr(pool, "_ask", signal_at("field004.png", number))
        report = index_all(index, images)
        again = index_all(index, images)
    (line,) = report.quarantined
    assert line.path.endswith("field004.png")
    assert line.reason.startswith(reason)
    assert (report.embedded, again.embedded, len(again.quarantined)) == (8, 8, 1)
    healed = index_all(index, images)
    assert (healed.embedded, healed.quarantined) == (9, ())


def test_a_pipe_that_is_named_like_an_image_is_told_at_once(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 2)
    names = ["pipe.tif", "pipe.png", "pipe.ome.tif", "pipe.zarr.zip"]
    for name in names:
        os.mkfifo(images / name)
    write_manifest(images, ["field000.png", *names, "field001.png"])
    report = index_all(tmp_path / "index", images, seconds=600)
    told = {Path(line.path).name: line.reason for line in report.quarantined}
    assert told == dict.fromkeys(names, "it is no plain file")
    assert report.embedded == 2


def test_an_image_that_needs_more_memory_names_the_setting(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6_000, 6_000), np.uint16), compression="zlib")
    reader = FileReader(1)
    with pytest.raises(TooLarge, match="HOOKE_IMAGE_MEMORY"):
        reader.read_changed(str(tmp_path / "a.tif"), Limits(), None, settings=ReadingSettings(60, 20 * 2**20))
    reader.close()


def test_who_waits_for_a_process_when_all_are_killed_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = write_images(tmp_path / "images", 4)
    monkeypatch.setattr(pool, "_ask", signal_at(".png", signal.SIGSTOP))
    reader, taken = FileReader(1), pool.Pool._taken
    waiting: list[int] = []

    def noted(self: pool.Pool, kills: int) -> object:
        waiting.append(kills)
        return taken(self, kills)

    monkeypatch.setattr(pool.Pool, "_taken", noted)

    def read(number: int) -> None:
        settings = ReadingSettings(seconds=20)
        reader.read_changed(str(images / f"field{number:03}.png"), Limits(), None, settings=settings)

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(read, number) for number in range(4)]
        # one that asks after the kill is not meant by it
        while len(waiting) < 4 or not any(worker._process for worker in reader._pool._workers):
            time.sleep(0.05)
        began = time.monotonic()
        reader.kill()
        raised = [each.exception() for each in asked]
    # the first may be killed before it has started
    assert all(isinstance(each, UnreadableImage | BackendUnavailable) for each in raised)
    assert time.monotonic() - began < 15, "another process was started, and hung"
    monkeypatch.undo()
    assert reader.read_changed(str(images / "field000.png"), Limits(), None) is not None
    reader.close()


def test_ctrl_c_does_not_wait_for_an_image_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, index = write_images(tmp_path / "images", 80), tmp_path / "index"
    with monkeypatch.context() as patched:
        patched.setattr(pool, "_ask", signal_at("field066.png", signal.SIGSTOP))
        # the first batch is done once the second one, of 32 images too, waits
        patched.setattr(EmbeddingRun, "_add", signalling(EmbeddingRun._add, 1, signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            index_all(index, images, seconds=600)
    assert len(held(index).vectors) == 32
    assert index_all(index, images).embedded == 80
