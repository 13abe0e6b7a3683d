"""Settings: read once, from one place."""

from pathlib import Path

import pytest

from hooke.errors import BadInput
from hooke.settings import read_settings


def test_settings_have_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "WEIGHTS", "UPLOAD_BYTES", "UPLOAD_PIXELS", "UPLOAD_CHANNELS", "UPLOAD_SECONDS"):
        monkeypatch.delenv(f"HOOKE_{name}", raising=False)
    settings = read_settings()
    assert (settings.model, settings.weights) == ("tf_efficientnet_lite0", None)
    assert settings.upload_bytes == 256 * 2**20


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKE_MODEL", "resnet18")
    monkeypatch.setenv("HOOKE_WEIGHTS", "weights.pth")
    monkeypatch.setenv("HOOKE_UPLOAD_BYTES", "1000")
    monkeypatch.setenv("HOOKE_UPLOAD_SECONDS", "0.5")
    settings = read_settings()
    assert (settings.model, settings.weights) == ("resnet18", Path("weights.pth"))
    assert (settings.upload_bytes, settings.upload_seconds) == (1000, 0.5)


@pytest.mark.parametrize("name", ["BYTES", "PIXELS", "CHANNELS", "SECONDS"])
def test_a_limit_that_is_no_number_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"HOOKE_UPLOAD_{name}", "plenty")
    with pytest.raises(BadInput, match=f"HOOKE_UPLOAD_{name}.*'plenty'"):
        read_settings()
