"""Whether a small head trained on labelled bio-images finds better look-alikes in a collection that it has not seen.

`python -m benchmarks.quality_head --cache FOLDER`: rows of the preset `balanced`, reduced to the first 256 components
of the index, are the input of heads. Each is trained on the classes of ten collections and scored on the eleventh,
in turn, joined to the rows with half of the cosine, or alone:

- `within`: each direction divided by its deviation within classes, plus a floor (within-class covariance
  normalisation, LDA's half);
- `untrained`: the components themselves, centred, to tell what training adds;
- `contrast`: one hidden layer of 256, trained to bring images of a class together (supervised contrastive loss, Khosla
  et al. 2020, eq. 2), among images of the same collection only: collections need no telling apart.

`open` trains on the collections alone whose licence allows weights to be shipped (CC0 and BSD).
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import normalize

from benchmarks.measures import Codes, Values, compare, leave_one_out
from benchmarks.quality import Labelled, cached, embed_files, read_labelled
from benchmarks.quality_tried import Rows, Weighed, side_by_side, unit
from hooke.embed.timm import load_embedder
from hooke.settings import read_settings

OPEN = ("dsb2018", "jurkat_cellcycle", "nf1_cellpainting")
FLOORS = (0.1, 1.0)
_DIM = 256
_STEPS = 300
_BATCH = 256
_TEMPERATURE = 0.1
Head = Callable[[Rows], Rows]
Trained = Callable[[Rows, Codes, Codes], Head]


def within(floor: float) -> Trained:
    """A training of the linear head; floor: what is added to a direction's variance, in means of all variances."""

    def train(rows: Rows, classes: Codes, _: Codes) -> Head:
        numbers = np.unique(classes, return_inverse=True)[1]
        means = np.array([rows[numbers == number].mean(axis=0) for number in range(numbers.max() + 1)])
        variances, axes = np.linalg.eigh(np.cov(rows - means[numbers], rowvar=False))
        scale = axes / np.sqrt(np.maximum(variances, 0) + floor * variances.mean())
        return lambda each: unit((each - rows.mean(axis=0)) @ scale)

    return train


def untrained(rows: Rows, _: Codes, __: Codes) -> Head:
    """What the centred components give by themselves."""
    mean = rows.mean(axis=0)
    return lambda each: unit(each - mean)


def contrast(rows: Rows, classes: Codes, collections: Codes) -> Head:
    """The trained network with one hidden layer."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(rows.shape[1], _DIM), nn.GELU(), nn.Linear(_DIM, _DIM // 2))
    scale = 1 / rows.std()
    inputs, labels, groups = (
        torch.from_numpy(each) for each in ((rows * scale).astype(np.float32), classes, collections)
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    for _ in range(_STEPS):
        batch = torch.randperm(len(inputs), generator=generator)[:_BATCH]
        shown = nn.functional.dropout(inputs[batch], 0.2)
        optimiser.zero_grad()
        _loss(normalize(network(shown)), labels[batch], groups[batch]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()

    @torch.inference_mode()
    def head(each: Rows) -> Rows:
        return unit(network(torch.from_numpy((each * scale).astype(np.float32))).numpy())

    return head


def _loss(rows: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    others = (groups[:, None] == groups[None]) & ~torch.eye(len(rows), dtype=torch.bool)
    same = (labels[:, None] == labels[None]) & others
    logits = (rows @ rows.T / _TEMPERATURE).masked_fill(~others, -torch.inf)
    likely = (logits - logits.logsumexp(dim=1, keepdim=True)).masked_fill(~same, 0)
    told = same.any(dim=1)
    return -(likely.sum(dim=1)[told] / same.sum(dim=1)[told]).mean()


def elsewhere(train: Trained, rows: Rows, labelled: Labelled, used: frozenset[str]) -> Iterator[tuple[str, Rows]]:
    """For each collection, the head's rows of its images, trained on the others of those used."""
    names = np.array(labelled.collections)
    codes = np.unique(names, return_inverse=True)[1]
    for name in np.unique(names):
        rest = np.isin(names, sorted(used - {str(name)}))
        yield str(name), train(rows[rest], labelled.classes[rest], codes[rest])(rows)


def scored(heads: Iterator[tuple[str, Rows]], rows: Rows, labelled: Labelled, share: float) -> Values:
    """The average precision of each query, with the head that did not see its collection."""
    names = np.array(labelled.collections)
    values = np.empty(len(names))
    for name, head in heads:
        joined = side_by_side(Weighed(rows, 1 - share), Weighed(head, share))
        values[names == name] = leave_one_out(joined, labelled.classes).averages[names == name]
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description="Train small heads, and score each on what it did not see.")
    parser.add_argument("--cache", type=Path, help="a folder that keeps rows between runs")
    arguments = parser.parse_args()
    labelled = read_labelled(read_settings().shared_data / "images" / "labelled")
    preset = load_embedder("balanced")
    found = cached(arguments.cache, preset.space.model, lambda: embed_files(preset, labelled.paths))
    rows = unit(found)
    components = _components(rows)
    plain = leave_one_out(rows, labelled.classes).averages
    print(f"without a head: {plain.mean():.4f}\n\n| head | joined | mAP@10 | to balanced | better on | worse on |")
    print("|---|---:|---:|---|---|---|")
    trained = {
        "untrained": untrained,
        **{f"within, floor {floor}": within(floor) for floor in FLOORS},
        "contrast": contrast,
    }
    for kind, used in (("ten others", frozenset(labelled.collections)), ("open", frozenset(OPEN))):
        for name, train in trained.items():
            heads = list(elsewhere(train, components, labelled, used))
            for share in (0.5, 1.0):
                values = scored(iter(heads), rows, labelled, share)
                print(_line(f"{name}, {kind}", share, values, plain, labelled), flush=True)


def _components(rows: Rows) -> Rows:
    centred: npt.NDArray[np.float64] = rows - rows.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, np.argsort(-variances)[:_DIM]])


def _line(name: str, share: float, values: Values, plain: Values, labelled: Labelled) -> str:
    apart = compare(values, plain, labelled.collections)
    whole = apart[""]
    better, worse = (
        ", ".join(where for where, each in apart.items() if where and each.sign == sign) for sign in ("+", "-")
    )
    interval = f"{whole.mean:+.4f} ({whole.low:+.4f} to {whole.high:+.4f})"
    return f"| {name} | {share} | {values.mean():.4f} | {interval} | {better} | {worse} |"


if __name__ == "__main__":
    main()
