"""Settings: read once, from one place."""

from pathlib import Path

import pytest

from hooke.errors import BadInput
from hooke.settings import ClusterSettings, read_settings

CLUSTER = {
    "URL": "http://a:9200",
    "USER": "elastic",
    "PASSWORD": "hunter2",
    "CA_CERTS": "ca.pem",
    "VERIFY_CERTS": "False",
    "TIMEOUT_SECONDS": "2.5",
    "BULK_TIMEOUT_SECONDS": "60",
    "SHARDS": "3",
    "REPLICAS": "2",
}


def test_settings_have_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "WEIGHTS", "UPLOAD_BYTES", "UPLOAD_PIXELS", "UPLOAD_CHANNELS", "UPLOAD_SECONDS"):
        monkeypatch.delenv(f"HOOKE_{name}", raising=False)
    settings = read_settings()
    assert (settings.model, settings.weights) == ("fast", None)
    assert settings.upload_bytes == 256 * 2**20


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKE_MODEL", "resnet18")
    monkeypatch.setenv("HOOKE_WEIGHTS", "weights.pth")
    monkeypatch.setenv("HOOKE_DEVICE", "cuda")
    monkeypatch.setenv("HOOKE_UPLOAD_BYTES", "1000")
    monkeypatch.setenv("HOOKE_UPLOAD_SECONDS", "0.5")
    settings = read_settings()
    assert (settings.model, settings.weights, settings.device) == ("resnet18", Path("weights.pth"), "cuda")
    assert (settings.upload_bytes, settings.upload_seconds) == (1000, 0.5)


@pytest.mark.parametrize("name", ["BYTES", "PIXELS", "CHANNELS", "SECONDS"])
def test_a_limit_that_is_no_number_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"HOOKE_UPLOAD_{name}", "plenty")
    with pytest.raises(BadInput, match=f"HOOKE_UPLOAD_{name}.*'plenty'"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("IMAGE_SECONDS", text) for text in ("0", "-1", "nan", "inf")),
        *(("IMAGE_MEMORY", text) for text in ("0", "-1", "1e9")),
        *(("VECTOR_BYTES", text) for text in ("-5", "1e9")),
    ],
)
def test_a_limit_that_nothing_can_keep_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"HOOKE_{name}", text)
    with pytest.raises(BadInput, match="a number above" if name == "IMAGE_SECONDS" else "a whole number"):
        read_settings()
    monkeypatch.setenv("HOOKE_VECTOR_BYTES", "0")
    monkeypatch.delenv(f"HOOKE_IMAGE_{name.partition('_')[2]}", raising=False)
    assert read_settings().vector_bytes == 0


def test_a_cluster_is_reached_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CLUSTER, "API_KEY"):
        monkeypatch.delenv(f"HOOKE_ELASTICSEARCH_{name}", raising=False)
    assert read_settings().cluster == ClusterSettings()


def test_how_a_cluster_is_reached_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOKE_ELASTICSEARCH_API_KEY", raising=False)
    for name, text in CLUSTER.items():
        monkeypatch.setenv(f"HOOKE_ELASTICSEARCH_{name}", text)
    assert read_settings().cluster == ClusterSettings(
        "http://a:9200", None, "elastic", "hunter2", Path("ca.pem"), False, 2.5, 60.0, 3, 2
    )


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "API_KEY", "USER", "PASSWORD", "CA_CERTS", "VERIFY_CERTS", "REPLICAS"):
        monkeypatch.setenv(f"HOOKE_ELASTICSEARCH_{name}", "")
    assert read_settings().cluster == ClusterSettings()


@pytest.mark.parametrize("missing", ["USER", "PASSWORD"])
def test_half_a_pair_of_user_and_password_is_refused(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("USER", "PASSWORD"):
        monkeypatch.setenv(f"HOOKE_ELASTICSEARCH_{name}", "hunter2")
    monkeypatch.delenv(f"HOOKE_ELASTICSEARCH_{missing}")
    with pytest.raises(BadInput, match="go together") as refused:
        read_settings()
    assert "hunter2" not in str(refused.value)


def test_two_ways_in_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "USER", "PASSWORD"):
        monkeypatch.setenv(f"HOOKE_ELASTICSEARCH_{name}", "hunter2")
    with pytest.raises(BadInput, match="two ways in") as refused:
        read_settings()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("VERIFY_CERTS", "perhaps"), ("SHARDS", "many"), ("REPLICAS", "1.5"), ("TIMEOUT_SECONDS", "soon")],
)
def test_a_cluster_setting_that_cannot_be_read_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"HOOKE_ELASTICSEARCH_{name}", text)
    with pytest.raises(BadInput, match=f"HOOKE_ELASTICSEARCH_{name}='{text}'"):
        read_settings()


def test_settings_show_no_secret() -> None:
    assert "hunter2" not in repr(ClusterSettings(api_key="hunter2", password="hunter2"))
