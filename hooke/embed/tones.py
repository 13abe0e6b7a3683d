"""A picture's tones joined with what a model says of it: how much of it is how bright, in each colour.

A model trained on photographs is bent to look past brightness and amount, which tell a stain, a dose or the phase of a
cell. Tones are those of the picture that the model sees, scaled by percentiles, so that exposure does not count; in a
composite they say how bright channels are beside each other. Measured in docs/quality.md.
"""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, normalize

BINS = 16
WEIGHT = 0.1
POOLING = f"roots of the shares of {BINS} tones in each colour, a triangle a tone, {WEIGHT} of a picture's cosine"


class WithTones(nn.Module):
    """A network that returns its rows, and the tones of the pictures: (n, its width + 3 * BINS), of unit length.

    mean, std: by which pictures of 0-1 were scaled for the network, (1, 3, 1, 1).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self._network = network
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Rows of pictures (n, 3, height, width)."""
        rows = normalize(self._network(pixels)) * (1 - WEIGHT) ** 0.5
        return torch.cat([rows, tones(pixels * self.std + self.mean, BINS) * WEIGHT**0.5], dim=1)


def tones(pictures: torch.Tensor, bins: int) -> torch.Tensor:
    """Unit rows (n, 3 * bins) of pictures (n, 3, height, width) of 0-1; their product is the mean affinity of colours.

    The affinity of two distributions is the sum of the roots of the products of their shares (Bhattacharyya 1943). A
    pixel counts for the two tones that it lies between, so that a little more light changes little.
    """
    # at half the size: a quarter of the work, and the noise of single pixels is no tone
    places = avg_pool2d(pictures, 2).flatten(2).clamp(0, 1) * (bins - 1)
    shares = torch.stack([(1 - (places - tone).abs()).clamp(min=0).mean(dim=2) for tone in range(bins)], dim=2)
    return normalize(shares.sqrt().flatten(1))
