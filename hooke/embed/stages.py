"""A model's stages joined with its own output: the last layer names things, the earlier ones know texture and stain.

Measured in docs/quality.md: the same forward pass, no weights of its own, rows 1.4 times as long.
"""

import torch
from torch import nn
from torch.nn.functional import normalize

POOLING = "cubic mean over positions of each stage and the model's own, unit each, joined"
_POWER = 3
_FLOOR = 1e-6


class WithStages(nn.Module):
    """A timm model that returns (n, sum of the widths of its stages and of its output)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Rows of pictures (n, 3, height, width)."""
        last, stages = self._model.forward_intermediates(pixels)  # type: ignore[operator]  # not of every nn.Module
        parts = [*map(cubic_mean, stages), self._model.forward_head(last)]  # type: ignore[operator]
        return torch.cat([normalize(part) for part in parts], dim=1)


def has_stages(model: nn.Module) -> bool:
    """Whether timm can say what this model's stages are."""
    return hasattr(model, "forward_intermediates") and hasattr(model, "forward_head")


def cubic_mean(maps: torch.Tensor) -> torch.Tensor:
    """GeM pooling with power 3 of (n, channels, height, width); what is negative counts as nothing seen."""
    return maps.clamp(min=_FLOOR).pow(_POWER).mean(dim=(2, 3)).pow(1 / _POWER)
