from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Workplace, clean_environment
from tests.stand_ins.hps import Hps
from tests.stand_ins.hps_site import PASSWORD
from tests.stand_ins.index import Index, serving
from tests.stand_ins.wheels import make_wheel
from wheelhouse.select.interpreter import pack

BODY = """
import json, pathlib, alpha
given = json.load(open("input_parameters.json"))
print("frequency is", given["frequency"])
if given["frequency"] == 13:
    raise RuntimeError("unlucky")
pathlib.Path("plot.txt").write_text("x" * int(given["frequency"] * 10))
json.dump({"maximum": given["frequency"] * 2}, open("output_parameters.json", "w"))
"""
BLOCK = """
[tool.bundler]
outputs = ["plot.txt"]
timeout = "1 min"
[tool.bundler.parameters]
frequency = {default = 1.0, lower = 0, upper = 100}
[tool.bundler.output-parameters]
maximum = "float"
"""


@pytest.fixture(scope="session")
def mirror(packable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror of Python archives, packed once from the interpreter that runs the tests."""

    folder = tmp_path_factory.mktemp("mirror")
    list(pack([packable], folder))
    return folder


@pytest.fixture
def site(workplace: Workplace, hps: Hps) -> Workplace:
    """A workplace that knows its HPS and its account there."""
    workplace.environment.update(HPS_URL=hps.url, HPS_USERNAME="anna", HPS_PASSWORD=PASSWORD)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        workplace.environment.pop(name, None)
    return workplace


@pytest.fixture(scope="session")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication of a script that says what its jobs need and leave; nobody writes to it."""
    place = tmp_path_factory.mktemp("publication")
    (place / "home").mkdir()
    with serving(Index()) as index:
        environment = clean_environment(place / "home", {"UV_DEFAULT_INDEX": f"{index.url}/simple"})
        site = Workplace(folder=place, index=index, environment=environment)
        index.add(make_wheel("alpha"))
        path = site.script("eval.py", "alpha", body=BODY)
        lines = "".join(f"# {line}\n" for line in BLOCK.strip().splitlines())
        path.write_text(path.read_text().replace("# ///\n" + BODY, f"{lines}# ///\n{BODY}"))
        site.bundle("eval.py")
        return site.publish()
