"""The examples of the README and the guides, typed as they are, in a folder with the files that they name."""

from __future__ import annotations

import re
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.cli.guide import TOPICS, read_guide
from tests.conftest import PYTHON, Workplace
from tests.stand_ins.hps import Hps
from tests.stand_ins.hps_evaluator import working
from tests.stand_ins.hps_site import evaluator
from tests.stand_ins.wheels import make_wheel

README = Path(__file__).parents[2] / "README.md"
PAGES = {
    "README": README.read_text(encoding="utf-8"),
    **{topic: read_guide(topic) for topic in TOPICS},
}
BLOCKS = re.compile(r"(<!-- not run: [^\n]+ -->\n)?```console\n(.*?)```", re.DOTALL)
BODY = """
import json, pathlib
path = pathlib.Path("input_parameters.json")
frequency = (json.loads(path.read_text()) if path.exists() else {}).get("frequency", 1.0)
pathlib.Path("plot.png").write_text(str(frequency))
pathlib.Path("output_parameters.json").write_text(json.dumps({"maximum": frequency}))
"""


@dataclass
class Reader:
    """Somebody who types examples; names of publications and projects are those that the commands printed."""

    site: Workplace
    hps: Hps

    def type(self, block: str) -> None:
        """Type the commands of a block in one shell and require that all succeed."""
        lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
        text = "\n".join(line.replace("/shared/", f"{self.site.folder}/shared/") for line in lines)
        for name in re.findall(r"eval-[0-9a-f]{12}", text):
            text = text.replace(name, self.publication())
        if "02qtyJfpfAQ0fr3zkoIAfC" in text:
            text = text.replace("02qtyJfpfAQ0fr3zkoIAfC", self.project())
        # The Python that runs the tests is the one that their nodes have.
        text = re.sub(r"--python 3\.12", f"--python {PYTHON}", text)
        with working(evaluator(self.site, self.hps)) if "--wait" in text else nullcontext():
            done = self.site.run("bash", "-ec", text)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

    def publication(self) -> str:
        """Return the name of the publication of eval.py, which is published if nobody did it yet."""
        store = self.site.folder / "shared" / "store"
        if not list(store.glob("publications/eval-*")):
            self.site.bundle("eval.py")
            done = self.site.run("publish-index", store, "eval.bundle")
            assert done.returncode == 0, done.stderr
        return next(store.glob("publications/eval-*")).name

    def project(self) -> str:
        """Return the ID of an HPS project with one job of eval.py that has ended."""
        if not self.hps.projects:
            path = self.site.folder / "shared" / "store" / "publications" / self.publication()
            done = self.site.run("submit-jobs", path)
            assert done.returncode == 0, done.stderr
        (project, *_) = self.hps.projects
        for job in self.hps.of(project, "jobs").values():
            job["eval_status"] = "evaluated"
        return project


@pytest.fixture
def reader(site: Workplace, hps: Hps, packable: Path) -> Reader:
    for name in ("numpy", "matplotlib"):
        site.index.add(make_wheel(name))
    (site.folder / ".venv" / "bin").mkdir(parents=True)
    (site.folder / ".venv" / "bin" / "python").symlink_to(packable)
    for name in ("eval.py", "mesh.py"):
        path = site.script(name, "numpy", "matplotlib", body=BODY)
        block = (
            "# [tool.bundler]\n# parameters = {frequency = 1.0}\n# outputs = ['plot.png']\n# ///\n"
        )
        path.write_text(path.read_text().replace("# ///\n" + BODY, block + BODY))
    (site.folder / "evaluate.py").write_text(BODY)
    (site.folder / "tests" / "examples").mkdir(parents=True)
    shutil.copy(site.folder / "eval.py", site.folder / "tests" / "examples")
    (settings,) = re.findall(r"(?s)```toml\n(# jobs.toml\n.*?)```", PAGES["scripts"])
    (site.folder / "jobs.toml").write_text(settings)
    site.environment["HOME"] = str(site.folder.parent / "home")
    return Reader(site=site, hps=hps)


EXAMPLES = [
    pytest.param(block, id=f"{page}-{number}")
    for page, text in PAGES.items()
    for number, (skipped, block) in enumerate(BLOCKS.findall(text), 1)
    if not skipped
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_the_examples_work_as_they_are(reader: Reader, block: str) -> None:
    bundled = "eval.bundle" in block and "bundle eval.py" not in block
    if bundled:
        reader.site.bundle("eval.py")
    if "/shared/store/simple" in block or "bundler store" in block:
        reader.publication()
    if "unpack eval.tar" in block:
        assert (
            reader.site.run(
                "bundler", "pack", reader.site.bundle("eval.py"), "-o", "eval.tar"
            ).returncode
            == 0
        )
    reader.type(block)


def test_most_examples_are_tested() -> None:
    assert len(EXAMPLES) >= 20
