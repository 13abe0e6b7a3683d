"""What is joined to a model's own output finds more look-alikes than that alone, on real images."""

from pathlib import Path

import numpy as np

from benchmarks.measures import leave_one_out
from benchmarks.quality import embed_files, read_labelled
from hooke.embed.timm import load_embedder
from hooke.embed.tones import BINS

OWN, TONES = 1280, 3 * BINS


def test_stages_and_tones_each_rank_pollen_better(shared_data: Path) -> None:
    labelled = read_labelled(shared_data / "images" / "labelled")
    sample = [number for number, name in enumerate(labelled.collections) if name == "pollen73s"][::2]
    rows = embed_files(load_embedder("balanced", threads=2), [labelled.paths[number] for number in sample])
    # of pictures with one view, a part of the row is what the model alone would give, but for its length
    without_tones = rows[:, :-TONES]
    parts = (without_tones[:, -OWN:], without_tones, rows)
    own, stages, tones = (
        leave_one_out(part / np.linalg.norm(part, axis=1, keepdims=True), labelled.classes[sample]).precision
        for part in parts
    )
    assert own > 0.65
    assert stages > own + 0.02
    assert tones > stages + 0.02
