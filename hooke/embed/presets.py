"""The models that Hooke recommends, by name. What they cost and how well they do, measured: docs/embedding.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

STAGES, TONES = "+stages", "+tones"
"""Behind a model's name, in this order: what else its rows hold (hooke.embed.stages, hooke.embed.tones)."""
_AT_224 = MappingProxyType({"img_size": 224})


@dataclass(frozen=True, slots=True)
class Preset:
    """A timm model, with what is joined to it, under a name of its own.

    licence: of the weights. megabytes: of their file. dim: the length of a row. arguments: for timm, beside its own.
    """

    name: str
    model: str
    licence: str
    megabytes: int
    dim: int
    arguments: Mapping[str, Any] = field(default_factory=dict)


PRESETS = (
    Preset("fast", "tf_efficientnet_lite0+tones", "Apache-2.0", 19, 1328),
    Preset("balanced", "tf_efficientnet_lite0+stages+tones", "Apache-2.0", 19, 1840),
    # DINOv2 was trained to look at 518 pixels a side: 224 take a sixth of the time
    Preset("best", "vit_small_patch14_reg4_dinov2.lvd142m", "Apache-2.0", 88, 384, _AT_224),
)


def preset_of(model: str) -> Preset | None:
    """The preset of a name, or of the timm model that it stands for: both make the same space.

    >>> preset_of("fast") is preset_of("tf_efficientnet_lite0+tones"), preset_of("resnet50")
    (True, None)
    """
    return next((preset for preset in PRESETS if model in (preset.name, preset.model)), None)


def timm_name(model: str) -> str:
    """The timm model that a name stands for, which is the name of its space.

    >>> timm_name("fast"), timm_name("resnet50")
    ('tf_efficientnet_lite0+tones', 'resnet50')
    """
    preset = preset_of(model)
    return preset.model if preset else model


def network_name(model: str) -> str:
    """The timm model alone of a name: what has weights.

    >>> network_name("balanced"), network_name("resnet50+stages")
    ('tf_efficientnet_lite0', 'resnet50')
    """
    return timm_name(model).removesuffix(TONES).removesuffix(STAGES)
