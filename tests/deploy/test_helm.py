"""The Helm chart, linted and rendered by Helm."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from aiinfra.configuration.table import SETTINGS
from aiinfra.stack import metrics_server
from aiinfra.stack.programs import WEB_END_S, WORKER_DRAIN_S

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
NAME = "test"
HOOK = "helm.sh/hook"
METRICS_SERVER = ["gunicorn", "-c", f"python:{metrics_server.__name__}"]
HELM = shutil.which("helm") or shutil.which("helm", path=Path(sys.executable).parent)
pytestmark = pytest.mark.skipif(HELM is None, reason="helm is not installed, and has no package for this machine")


def helm(*arguments: str) -> str:
    """The output of a Helm command."""
    return subprocess.run([str(HELM), *arguments], capture_output=True, text=True, check=True).stdout


@cache
def rendered() -> list[dict[str, Any]]:
    """The objects of all templates."""
    return [each for each in yaml.safe_load_all(helm("template", NAME, str(CHART))) if each]


def named(kind: str) -> Mapping[str, dict[str, Any]]:
    """The objects of a kind by component, the last part of their name."""
    return {each["metadata"]["name"].removeprefix(f"{NAME}-"): each for each in rendered() if each["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """The pod spec of each component."""
    return {name: each["spec"]["template"]["spec"] for name, each in {**named("Deployment"), **named("Job")}.items()}


def test_helm_lint_passes() -> None:
    helm("lint", "--strict", str(CHART))


def test_every_component_has_a_disruption_budget_of_one_pod() -> None:
    assert set(named("Deployment")) == set(named("PodDisruptionBudget")) == {"web", "workers", "scheduler"}
    for name, budget in named("PodDisruptionBudget").items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == named("Deployment")[name]["spec"]["selector"]


def test_the_release_job_runs_after_the_settings_and_before_the_pods() -> None:
    job, settings = named("Job")["release"], named("ConfigMap")["settings"]
    weights = []
    for each in (settings, job):
        annotations = each["metadata"]["annotations"]
        assert annotations[HOOK] == "pre-install,pre-upgrade"
        weights.append(int(annotations[f"{HOOK}-weight"]))
    assert weights == sorted(weights)


def runs_existing_program(program: list[str]) -> bool:
    return program == METRICS_SERVER or (program[:2] == ["python", "manage.py"] and program[2] in get_commands())


def test_pods_without_a_web_server_have_a_metrics_sidecar() -> None:
    for name in ("workers", "scheduler"):
        (sidecar,) = pods()[name]["initContainers"]
        assert (sidecar["command"], sidecar["restartPolicy"]) == (METRICS_SERVER, "Always")
        assert metrics_server.bind.endswith(f":{sidecar['ports'][0]['containerPort']}")


def test_containers_run_existing_commands_without_privileges() -> None:
    for pod in pods().values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert runs_existing_program(container.get("command", ["python", "manage.py", "worker"]))
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"]
            assert not rights["allowPrivilegeEscalation"]
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}  # noqa: S108


def test_settings_exist() -> None:
    assert named("ConfigMap")["settings"]["data"].keys() <= SETTINGS.keys()


def test_probes_and_grace_periods() -> None:
    web = pods()["web"]["containers"][0]
    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    ready = web["readinessProbe"]
    assert ready["httpGet"]["path"] == "/readyz"
    lame_duck_s = int(VALUES["settings"]["WEB_LAME_DUCK_S"])
    assert ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"] < lame_duck_s
    drain_s = int(VALUES["settings"]["WEB_DRAIN_S"])
    assert pods()["web"]["terminationGracePeriodSeconds"] >= lame_duck_s + drain_s + WEB_END_S
    assert pods()["workers"]["terminationGracePeriodSeconds"] > WORKER_DRAIN_S
