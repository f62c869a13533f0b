"""Reads what all processes of this host have recorded."""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from aiinfra.metrics.files import directory
from aiinfra.metrics.recorded import OTHER
from aiinfra.money import dollars

NANO_DOLLARS, DOLLARS = "_nano_dollars", "_dollars"
ORGANIZATION = "organization"


def recorded_metrics(slugs: Mapping[str, str], *, only: bool = False) -> Iterator[Metric]:
    """The sum over all processes, in dollars and with the slugs of organizations, which `slugs` has by ID.

    With `only`, nothing but the samples of these organizations. Otherwise, organizations that no longer exist are
    labeled with their ID.
    """
    if not directory.is_dir():
        return
    for metric in MultiProcessCollector(None, str(directory)).collect():
        samples = [_readable(each, slugs) for each in metric.samples if not only or _is_of(each, slugs)]
        if samples:
            shown = Metric(metric.name.replace(NANO_DOLLARS, DOLLARS), metric.documentation, metric.type)
            shown.samples = samples
            yield shown


def _is_of(sample: Sample, slugs: Mapping[str, str]) -> bool:
    return sample.labels.get(ORGANIZATION) in slugs


def _readable(sample: Sample, slugs: Mapping[str, str]) -> Sample:
    labels = dict(sample.labels)
    if (organization := labels.get(ORGANIZATION)) not in {None, OTHER}:
        labels[ORGANIZATION] = slugs.get(str(organization), str(organization))
    if NANO_DOLLARS not in sample.name:
        return sample._replace(labels=labels)
    amount = float(dollars(int(sample.value)))  # Prometheus has no other numbers
    return sample._replace(name=sample.name.replace(NANO_DOLLARS, DOLLARS), labels=labels, value=amount)
