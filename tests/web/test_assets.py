import gzip
from pathlib import Path

import brotli
import pytest
from django.http import FileResponse
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.assets import plotly_release, plotly_url


@pytest.fixture(autouse=True)
def _own_data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def body(response: FileResponse) -> bytes:
    return b"".join(response.streaming_content)  # type: ignore[arg-type]


def get(client: Client, accept: str) -> FileResponse:
    response: FileResponse = client.get(plotly_url(), headers={"Accept-Encoding": accept})  # type: ignore[assignment]
    return response


def test_plotly_is_served_with_the_accepted_compression(client: Client) -> None:
    plain = body(get(client, "identity"))
    assert len(plain) > 1_000_000
    small = get(client, "gzip, deflate, br, zstd")
    assert small.headers["Content-Encoding"] == "br"
    assert brotli.decompress(body(small)) == plain
    assert gzip.decompress(body(get(client, "gzip;q=1.0"))) == plain


def test_plotly_is_compressed_once_and_cached_forever(client: Client, settings: Settings) -> None:
    body(get(client, "br"))
    kept = list((Path(settings.DATA_DIR) / "assets").iterdir())
    assert [path.name for path in kept] == [f"plotly-{plotly_release()}.js.br"]
    written_at = kept[0].stat().st_mtime_ns
    response = get(client, "br")
    body(response)
    assert kept[0].stat().st_mtime_ns == written_at
    assert "immutable" in response.headers["Cache-Control"]
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.django_db
def test_plotly_does_not_vary_by_session(owner: object, client: Client) -> None:
    client.login(username="owner", password="a long password")
    response = get(client, "br")
    body(response)
    assert response.headers["Vary"] == "Accept-Encoding"


def test_an_asset_of_another_release_is_404(client: Client) -> None:
    assert client.get(plotly_url().replace(plotly_release(), "0.0.1")).status_code == 404
