"""Stages joined with a model's own output find more look-alikes than its output alone, on real images."""

from pathlib import Path

import numpy as np

from benchmarks.measures import leave_one_out
from benchmarks.quality import embed_files, read_labelled
from hooke.embed.timm import DEFAULT_MODEL, load_embedder

OWN = 1280


def test_stages_rank_pollen_better_than_the_last_layer_alone(shared_data: Path) -> None:
    labelled = read_labelled(shared_data / "images" / "labelled")
    sample = [number for number, name in enumerate(labelled.collections) if name == "pollen73s"][::2]
    embedder = load_embedder(f"{DEFAULT_MODEL}+stages", threads=2)
    rows = embed_files(embedder, [labelled.paths[number] for number in sample])
    # of pictures with one view, the last part is the row that the model alone would give
    own = rows[:, -OWN:] / np.linalg.norm(rows[:, -OWN:], axis=1, keepdims=True)
    classes = labelled.classes[sample]
    joined, alone = (leave_one_out(vectors, classes).precision for vectors in (rows, own))
    assert alone > 0.65
    assert joined > alone + 0.02
