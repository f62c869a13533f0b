from aiinfra.tenants.authorization import PERMISSIONS, Role
from aiinfra.tenants.staff import TITLES
from tests.support.processes import ROOT


def documented() -> dict[str, list[bool]]:
    lines = (ROOT / "docs" / "authorization.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): [cell == "yes" for cell in row[1:]] for row in rows if len(row) == 7}


def test_documented_permission_table_matches_the_code() -> None:
    in_force = {name: [*(role in right.roles for role in Role), right.by_key] for name, right in PERMISSIONS.items()}
    assert documented() == in_force


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "tenants.md").read_text(encoding="utf-8")
    commands = [*(ROOT / "aiinfra" / "tenants" / "management" / "commands").glob("[a-z]*.py")]
    assert commands and all(f"manage.py {path.stem}" in text for path in commands)


def test_every_staff_right_is_documented() -> None:
    text = (ROOT / "docs" / "authorization.md").read_text(encoding="utf-8")
    assert all(f"| `{right}` | {title} |" in text for right, title in TITLES.items())
