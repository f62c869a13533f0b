"""`manage.py calibrate_cache FILE`: measure an embedder's thresholds on labeled pairs, and propose a scale."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.json_body import json_lines
from aiinfra.tenants.models import Organization
from cache_app.embedding.base import Embedder, EmbedderError, Payer
from cache_app.guards.calibration import PRINTED, Pair, guarded, plain, proposed_scale

LOCAL = 0
"""The payer for an embedder that costs nothing."""


class Command(command.Command):
    """Embeds the pairs of a file, prints recall and wrong share at each threshold, and proposes a scale."""

    help = "Measure the cache's thresholds for an embedder on labeled pairs (JSON lines with a, b and same)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help='one pair per line: {"a": "...", "b": "...", "same": 0 or 1}')
        parser.add_argument("--embedder", default="", help="name of the embedder (default: the configured one)")
        parser.add_argument("--error", type=float, default=0.02, help="accepted share of wrong answers (default: 0.02)")
        parser.add_argument(
            "--organization", default="", help="slug of the organization that pays, for an embedder that costs money"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        embedder = _embedder(options["embedder"])
        payer = _payer(options["organization"], embedder)
        pairs = _pairs(options["file"], embedder, payer)
        self.stdout.write(f"{embedder.id}: {len(pairs)} pairs, {sum(pair.same for pair in pairs)} true repeats")
        self.stdout.write("threshold  recall  wrong of served  (without guards)")
        for threshold in PRINTED:
            ours, bare = guarded(pairs, threshold, embedder.scale), plain(pairs, threshold)
            self.stdout.write(
                f"{threshold:9.2f}  {ours.recall:6.1%}  {ours.wrong_share:15.1%}  "
                f"({bare.recall:.1%}, {bare.wrong_share:.1%})"
            )
        scale = proposed_scale(pairs, options["error"])
        self.stdout.write(
            f"proposed for at most {options['error']:.1%} wrong: edge {scale.edge:.2f}, clear {scale.clear:.2f}"
            if scale
            else f"no threshold keeps the wrong answers at {options['error']:.1%}"
        )


def _embedder(name: str) -> Embedder:
    from cache_app.embedding.registry import configured_embedder, embedder_named

    try:
        return embedder_named(name) if name else configured_embedder()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error


def _payer(slug: str, embedder: Embedder) -> Payer:
    if slug:
        organization = Organization.objects.filter(slug=slug).first()
        if organization is None:
            raise CommandError(f"there is no organization {slug}")
        return Payer(organization.id)
    if "openai" in embedder.id:
        raise CommandError("this embedder costs money: pass --organization SLUG")
    return Payer(LOCAL)


def _pairs(path: Path, embedder: Embedder, payer: Payer) -> list[Pair]:
    try:
        rows = [json.loads(line) for line in json_lines(path) if line.strip()]
        texts = list(dict.fromkeys(text for row in rows for text in (row["a"], row["b"])))
        vectors = dict(zip(texts, embedder.embed(texts, payer), strict=True))
        return [
            Pair(row["a"], row["b"], bool(row["same"]), float(vectors[row["a"]] @ vectors[row["b"]])) for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} does not contain labeled pairs: {error!r}") from error
    except EmbedderError as error:
        raise CommandError(str(error)) from error
