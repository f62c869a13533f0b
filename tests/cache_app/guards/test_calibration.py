"""Calibration of thresholds, with fixed similarities."""

import json
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from aiinfra.tenants.models import Organization
from cache_app.embedding.base import Payer, Scale, Vector
from cache_app.guards.calibration import Pair, guarded, plain, proposed_scale

SCALE = Scale(edge=0.85, clear=0.90, near=0.75)
SAME = ("How do I reset my router?", "How can I reset my router?")
TRAP = ("How do I reset my router?", "How do I restart a modem in hotels?")
VETOED = ("Costs in 2023", "Costs in 2024")


def rows(*labeled: tuple[tuple[str, str], bool, float]) -> list[Pair]:
    return [Pair(*texts, same, similarity) for texts, same, similarity in labeled]


def test_recall_and_wrong_share_are_computed_from_labeled_pairs() -> None:
    pairs = rows((SAME, True, 0.95), (SAME, True, 0.70), (VETOED, False, 0.99), (TRAP, False, 0.92))
    assert (plain(pairs, 0.85).recall, plain(pairs, 0.85).wrong_share) == (0.5, pytest.approx(2 / 3))
    assert (guarded(pairs, 0.85, SCALE).recall, guarded(pairs, 0.85, SCALE).wrong_share) == (0.5, 0.5)


def test_without_repeats_or_hits_the_shares_are_zero() -> None:
    nothing = guarded(rows((VETOED, False, 0.99)), 0.85, SCALE)
    assert (nothing.recall, nothing.wrong_share) == (0.0, 0.0)


def test_the_proposed_clear_threshold_is_above_every_trap() -> None:
    scale = proposed_scale(rows((SAME, True, 0.95), (SAME, True, 0.80), (TRAP, False, 0.88)), 0.02)
    assert scale is not None
    assert 0.88 < scale.clear <= 0.95
    assert scale.edge <= scale.clear
    assert scale.near == pytest.approx(scale.edge - 0.10)


def test_nothing_is_proposed_if_no_threshold_meets_the_target() -> None:
    assert proposed_scale(rows((TRAP, False, 0.995), (SAME, True, 0.60)), 0.02) is None


class TwoWords:
    """An embedder with two possible vectors."""

    dimensions = 2
    scale = SCALE

    def __init__(self, name: str) -> None:
        self.id = name
        self.payers: list[Payer] = []

    def prepare(self) -> None:
        """Nothing to load."""

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:
        self.payers.append(payer)
        return [np.array([1, 0] if "reset" in text else [0, 1], np.float32) for text in texts]


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> TwoWords:
    """Replaces every embedder of the registry."""
    fake = TwoWords("openai-small/1")

    def named(name: str) -> TwoWords:
        if name == "unknown":
            raise ImproperlyConfigured("there is no embedder unknown")
        return fake

    registry = ModuleType("cache_app.embedding.registry")
    vars(registry).update(embedder_named=named, configured_embedder=lambda: fake)
    monkeypatch.setitem(sys.modules, "cache_app.embedding.registry", registry)
    return fake


@pytest.fixture
def labeled(tmp_path: Path) -> Path:
    """A file with two labeled pairs."""
    path = tmp_path / "pairs.jsonl"
    lines = [{"a": SAME[0], "b": SAME[1], "same": 1}, {"a": SAME[0], "b": VETOED[0], "same": 0}]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


@pytest.mark.django_db
def test_the_command_prints_a_proposal_and_charges_the_given_organization(embedder: TwoWords, labeled: Path) -> None:
    payer = Organization.objects.create(name="Acme", slug="acme")
    out = StringIO()
    call_command("calibrate_cache", str(labeled), organization="acme", stdout=out)
    assert "openai-small/1: 2 pairs, 1 true repeats" in out.getvalue()
    assert "     0.85  100.0%             0.0%  (100.0%, 0.0%)" in out.getvalue()
    assert "proposed for at most 2.0% wrong: edge " in out.getvalue()
    assert embedder.payers == [Payer(payer.id)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--organization"),
        ({"organization": "nobody"}, "no organization nobody"),
        ({"embedder": "unknown"}, "no embedder unknown"),
    ],
)
def test_the_command_reports_missing_and_unknown_options(
    embedder: TwoWords, labeled: Path, options: dict[str, str], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("calibrate_cache", str(labeled), **options)
    assert embedder.payers == []


def test_the_command_refuses_an_invalid_file(embedder: TwoWords, tmp_path: Path) -> None:
    embedder.id = "local/1"
    (tmp_path / "bad.jsonl").write_text('{"a": "x"}')
    with pytest.raises(CommandError, match="does not contain labeled pairs"):
        call_command("calibrate_cache", str(tmp_path / "bad.jsonl"))
