"""The kinds of projects that the public examples of the HPS client create, without an execution script of their own.

Solvers are programs that write what the next step needs; everything else is real.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, Workplace
from tests.stand_ins.hps import Hps
from tests.stand_ins.hps_evaluator import Evaluator, working
from tests.stand_ins.hps_site import evaluator, jobs_of, submitted
from tests.stand_ins.programs import python_program
from tests.stand_ins.wheels import make_wheel

GUIDE = Path(__file__).parents[2] / "bundler" / "guides" / "scripts.md"
# What a script of these examples does to find its solver and its parameters.
HEAD = """
import json, pathlib, subprocess
given = json.loads(pathlib.Path("input_parameters.json").read_text())
context = json.loads(pathlib.Path("context.json").read_text())
programs = {each["name"]: each["executable"] for each in context["software"]}
"""
GEOMETRY = """
subprocess.run([programs["Ansys GeometryService"], str(given["canti_length"])], check=True)
assert pathlib.Path("cantilever.x_t").is_file()
"""
MESH = """
subprocess.run([programs["Ansys Prime Server"], "cantilever.x_t"], check=True)
"""
MAPDL = """
out = subprocess.run([programs["Ansys Mechanical APDL"], "-np", str(int(given["num_cores"])), "-i", "cantilever.cdb"],
                     check=True, capture_output=True, text=True).stdout
modes = dict(line.split() for line in out.splitlines())
values = {f"freq_mode_{number}": float(frequency) for number, frequency in modes.items()}
pathlib.Path("output_parameters.json").write_text(json.dumps(values))
"""
SOLVERS = {
    "Ansys GeometryService": "open('cantilever.x_t', 'w').write(sys.argv[1])",
    "Ansys Prime Server": "open('cantilever.cdb', 'w').write(open(sys.argv[1]).read())",
    "Ansys Mechanical APDL": "import pathlib; size = float(open(sys.argv[4]).read())\n"
    "for mode in (1, 2, 3): print(mode, size * mode * int(sys.argv[2]))",
}


def script(site: Workplace, name: str, *dependencies: str, body: str, block: str) -> None:
    """Write a script with a table [tool.bundler]."""
    path = site.script(name, *dependencies, body=body)
    lines = "".join(f"# {line}\n" for line in f"[tool.bundler]\n{block}".strip().splitlines())
    path.write_text(path.read_text().replace("# ///\n" + body, f"{lines}# ///\n{body}"))


def solvers(site: Workplace, hps: Hps, programs: dict[str, str]) -> Evaluator:
    """Install `programs` where the evaluator sees them; return the evaluator."""
    software = [{"name": "uv", "executable": str(BIN / "uv")}]
    (configuration,) = hps.configurations.values()
    for name, body in programs.items():
        path = site.folder / "solvers" / name.replace(" ", "-")
        path.parent.mkdir(exist_ok=True)
        path.write_text(python_program(f"import sys\n{body}\n"))
        path.chmod(0o755)
        about = {
            "name": name,
            "version": "2025 R2",
            "install_path": str(path.parent),
            "executable": str(path),
        }
        configuration["applications"].append(about)
        software.append(about)
    return evaluator(site, hps, software=software)


def results(site: Workplace, project: str) -> list[dict[str, str]]:
    """Fetch the results of `project`; return the rows of its table."""
    done = site.run("bundler", "hps", "fetch", project, "-o", "results")
    assert done.returncode == 0, done.stderr
    with (site.folder / "results" / "results.csv").open(newline="") as table:
        return list(csv.DictReader(table))


def test_the_three_steps_of_the_cantilever(site: Workplace, hps: Hps) -> None:
    for name in ("ansys-geometry-core", "ansys-meshing-prime", "ansys-mapdl-core"):
        site.index.add(make_wheel(name))
    common = 'cores = 2\njob-resources = true\nmemory = "2 GiB"\ntimeout = 500\ntrials = 3\n'
    parameters = """
[tool.bundler.parameters]
canti_length = {default = 350.0, lower = 20.0, upper = 1000.0, units = "um"}
arm_slot = false
num_modes = {default = 3, lower = 3, upper = 3}
popup_plots = false
"""
    blocks = {
        "eval_geometry.py": 'software = ["Ansys GeometryService"]\noutputs = ["cantilever.x_t"]\n',
        "eval_mesh.py": 'software = ["Ansys Prime Server"]\ninputs = ["cantilever.x_t"]\n'
        'outputs = ["cantilever.cdb"]\n',
        "eval_mapdl.py": 'software = ["Ansys Mechanical APDL=2025 R2"]\ninputs = ["cantilever.cdb"]\n'
        'output-parameters = ["freq_mode_1", "freq_mode_2", "freq_mode_3"]\n',
    }
    fitness = """
[tool.bundler.fitness]
error = 2.0
[tool.bundler.fitness.terms.frequency]
type = "target_constraint"
expression = "map_target_constraint(values['freq_mode_1'], 100.0, 1.0, 50.0)"
"""
    packages = ("ansys-geometry-core", "ansys-meshing-prime", "ansys-mapdl-core")
    for (name, block), package, body in zip(
        blocks.items(), packages, (GEOMETRY, MESH, MAPDL), strict=True
    ):
        more = fitness if name == "eval_mapdl.py" else ""
        module = f"import {package.replace('-', '_')}\n"
        script(
            site, name, package, body=HEAD + module + body, block=block + common + parameters + more
        )
    site.bundle(*blocks, "-o", "cantilever.bundle")
    with working(solvers(site, hps, SOLVERS)):
        project = submitted(
            site,
            site.publish("cantilever.bundle"),
            "--sweep",
            "canti_length=100,200",
            "--set",
            "eval_mapdl.py:cores=4",
        )
        done = site.run("bundler", "hps", "watch", project, "--interval", "0.2")
    assert done.returncode == 0, done.stderr
    rows = results(site, project)
    assert [(row["freq_mode_1"], row["freq_mode_3"]) for row in rows] == [
        ("400.0", "1200.0"),
        ("800.0", "2400.0"),
    ]
    (definition,) = hps.of(project, "job_definitions").values()
    assert definition["fitness_definition"]["fitness_term_definitions"][0]["name"] == "frequency"
    levels = {
        task["name"]: task["execution_level"]
        for task in hps.of(project, "task_definitions").values()
    }
    assert levels == {"eval_geometry.py": 0, "eval_mesh.py": 1, "eval_mapdl.py": 2}


def test_a_plot_with_uv_on_an_older_and_on_a_current_server(site: Workplace, hps: Hps) -> None:
    site.index.add(make_wheel("alpha"))
    block = 'outputs = ["plot.png"]\ncores = 0.5\nmemory = "100 MiB"\ntimeout = 500\n'
    script(
        site,
        "eval.py",
        "alpha",
        body="import alpha\nopen('plot.png', 'w').write('a plot')\n",
        block=block,
    )
    site.bundle("eval.py")
    publication = site.publish()
    for older in (True, False):
        with working(evaluator(site, hps, older=older)):
            project = submitted(
                site, publication, "-j", "3", "--wait", "--name", f"older is {older}"
            )
        assert {job["eval_status"] for job in jobs_of(hps, project)} == {"evaluated"}


def test_processes_that_run_at_the_same_time_with_arguments_of_their_own(
    site: Workplace, hps: Hps
) -> None:
    body = """
import json, pathlib, sys
source, number = sys.argv[1:]
period = json.loads(pathlib.Path(source).read_text())["period"]
pathlib.Path(f"td{number}_results.txt").write_text(f"period {period} of {number}")
pathlib.Path(f"td{number}_results.json").write_text(json.dumps({"steps": 12 // period}))
"""
    names = [f"td{number}.py" for number in range(3)]
    inputs: list[str | Path] = []
    for number, name in enumerate(names):
        file = f"td{number}_input.json"
        (site.folder / file).write_text(f'{{"period": {number + 1}}}')
        block = f"""
execution-level = 0
inputs = ["{file}"]
arguments = ["{file}", "{number}"]
outputs = ["td{number}_results.txt", "td{number}_results.json"]
monitor = ["td{number}_results.txt"]
cores = 0.2
"""
        script(site, name, body=body, block=block)
        inputs += ["--input", file]
    site.bundle(*names, "-o", "steps.bundle")
    with working(evaluator(site, hps)):
        project = submitted(site, site.publish("steps.bundle"), *inputs, "--wait")
    assert {task["execution_level"] for task in hps.of(project, "task_definitions").values()} == {0}
    monitored = {file["name"] for file in hps.of(project, "files").values() if file.get("monitor")}
    assert monitored == {f"td{number}_results.txt" for number in range(3)}
    results(site, project)
    texts = [
        (site.folder / "results" / "job-1" / f"td{number}_results.txt").read_text()
        for number in range(3)
    ]
    assert texts == ["period 1 of 0", "period 2 of 1", "period 3 of 2"]


def test_a_solver_whose_files_are_monitored_and_whose_results_decide(
    site: Workplace, hps: Hps
) -> None:
    body = """
model = pathlib.Path("motorbike_frame.mac").read_text().replace("RADIUS", str(given["tube1_radius"]))
pathlib.Path("model.mac").write_text(model)
subprocess.run([programs["Ansys Mechanical APDL"], "model.mac"], check=True)
pathlib.Path("output_parameters.json").write_text(json.dumps({"weight": given["tube1_radius"] / 2}))
"""
    block = """
software = ["Ansys Mechanical APDL"]
inputs = ["motorbike_frame.mac"]
outputs = ["file.out"]
optional-outputs = ["**.jpg", "file*.err"]
monitor = ["file.out", "file*.err"]
success-expressions = ["values['weight'] <= 7.5"]
output-parameters = ["weight"]
[tool.bundler.parameters]
tube1_radius = {default = 12.0, lower = 4.0, upper = 20.0}
"""
    script(site, "frame.py", body=HEAD + body, block=block)
    (site.folder / "motorbike_frame.mac").write_text("radius(1)=RADIUS\n")
    site.bundle("frame.py")
    publication = site.publish("frame.bundle")
    solver = "text = open(sys.argv[1]).read()\nfor name in ('file.out', 'file0.err', 'file1.err', 'frame.jpg'):\n"
    with working(
        solvers(site, hps, {"Ansys Mechanical APDL": f"{solver}    open(name, 'w').write(text)"})
    ):
        more = ("--input", "motorbike_frame.mac", "--sweep", "tube1_radius=12,16")
        done = site.run("submit-jobs", publication, *more, "--wait")
    assert done.returncode == 1
    assert "not all jobs succeeded: 1 evaluated, 1 failed" in done.stderr, done.stderr
    rows = results(site, done.stdout.strip())
    assert [(row["status"], row["weight"]) for row in rows] == [
        ("evaluated", "6.0"),
        ("failed", "8.0"),
    ]
    for path in ("file.out", "file0.err", "file1.err", "frame.jpg"):
        assert (site.folder / "results" / "job-1" / path).read_text() == "radius(1)=12.0\n"


@pytest.mark.parametrize("name", ["a table", "a sweep"])
def test_each_job_with_its_own_mesh(site: Workplace, hps: Hps, name: str) -> None:
    body = "open('out.txt', 'w').write(open('mesh.msh').read())\n"
    script(site, "solve.py", body=body, block='inputs = ["mesh.msh"]\noutputs = ["out.txt"]\n')
    meshes = site.folder / "meshes"
    meshes.mkdir()
    for mesh in ("coarse", "fine"):
        (meshes / f"{mesh}.msh").write_text(mesh)
    (meshes / "table.csv").write_text(
        "job,mesh.msh\ncoarse,coarse.msh\nfine,fine.msh\nagain,fine.msh\n"
    )
    site.bundle("solve.py")
    arguments: dict[str, tuple[Any, ...]] = {
        "a table": ("--params", "meshes/table.csv"),
        "a sweep": ("--sweep", "mesh.msh=meshes/coarse.msh,meshes/fine.msh"),
    }
    with working(evaluator(site, hps)):
        project = submitted(site, site.publish("solve.bundle"), *arguments[name], "--wait")
    results(site, project)
    texts = {
        path.parent.name: path.read_text() for path in (site.folder / "results").glob("*/out.txt")
    }
    expected = {"coarse": "coarse", "fine": "fine", "again": "fine"}
    assert texts == (expected if name == "a table" else {"job-1": "coarse", "job-2": "fine"})


TRUSS = """
import json, sys
given = json.load(open(sys.argv[1]))
weight = 2 * given["H"] * given["rho"]
json.dump({"weight": weight, "kind": given["kind"]}, open("output_parameters.json", "w"), indent=4)
"""
TRUSS_JOBS = """
arguments = ["input_parameters.json"]
inputs = ["input_parameters.json"]
outputs = ["output_parameters.json"]
output-parameters = {weight = "float", kind = "string"}
parameter-mappings = [
    {parameter = "height", file = "input_parameters.json", key-string = '"H"', tokenizer = ":"},
    {parameter = "sort", file = "input_parameters.json", key-string = '"kind"', tokenizer = ":", string-quote = '"'},
    {parameter = "weight", file = "output_parameters.json", key-string = '"weight"', tokenizer = ":"},
]
[parameters]
height = {default = 30.0, lower = 10.0, upper = 100.0, units = "in"}
sort = "plain"
[fitness]
error = 10.0
[fitness.terms.weight]
type = "design_objective"
expression = "map_design_objective( values['weight'], 35, 20)"
"""


def unmodified(site: Workplace, name: str, body: str, *options: str) -> Path:
    """Bundle and publish a script without a metadata block; return the publication."""
    (site.folder / name).write_text(body)
    site.bundle(name, *options)
    return site.publish(f"{Path(name).stem}.bundle")


def test_a_truss_whose_parameters_stand_in_its_input_file_runs_unmodified(
    site: Workplace, hps: Hps
) -> None:
    publication = unmodified(site, "evaluate.py", TRUSS)
    (site.folder / "jobs.toml").write_text(TRUSS_JOBS)
    text = '{\n      "H":30,\n      "kind": "none",\n      "rho":0.5\n}\n'
    (site.folder / "input_parameters.json").write_text(text)
    options = ["--settings", "jobs.toml", "--input", "input_parameters.json"]
    with working(evaluator(site, hps)):
        project = submitted(site, publication, *options, "--sweep", "height=20:40:10", "--wait")
    rows = results(site, project)
    assert [row["weight"] for row in rows] == ["20.0", "30.0", "40.0"]
    assert {row["kind"] for row in rows} == {"plain"}
    (definition,) = hps.of(project, "job_definitions").values()
    assert len(definition["parameter_mapping_ids"]) == 3


def test_a_truss_that_expects_its_output_parameters_as_null_runs_unmodified(
    site: Workplace, hps: Hps
) -> None:
    body = """
import json, sys
given = json.load(open(sys.argv[1]))
assert given.pop("weight") is None
json.dump({"weight": 2 * given["height"]}, open("output_parameters.json", "w"))
"""
    publication = unmodified(site, "evaluate.py", body)
    words = ["arguments=['input_parameters.json']", "output-parameters=weight"]
    words += ["null-output-parameters=true", "parameters={height = 30.0}"]
    options = [option for word in words for option in ("--set", word)]
    with working(evaluator(site, hps)):
        project = submitted(site, publication, *options, "--wait")
    assert [row["weight"] for row in results(site, project)] == ["60.0"]


def test_one_script_is_three_linked_steps_with_arguments_of_their_own(
    site: Workplace, hps: Hps
) -> None:
    body = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("input_file")
parser.add_argument("number")
given = parser.parse_args()
params = json.load(open(given.input_file))
start = params.get("start", params.get("product"))
json.dump({"product": start * start}, open(f"td{given.number}_result.json", "w"), indent=4)
"""
    publication = unmodified(site, "eval.py", body)
    (site.folder / "input.json").write_text('{\n      "start": 2.0\n}')
    before = "input.json"
    lines = ["[parameters]", "start = {lower = 1.0, upper = 10.0, default = 2.0}"]
    mappings = [
        '{parameter = "start", file = "input.json", key-string = \'"start"\', tokenizer = ":"}'
    ]
    names = []
    for number in range(3):
        result = f"td{number}_result.json"
        names.append(f"product{number}")
        lines += [f"[steps.td{number}]", f'arguments = ["{before}", "{number}"]']
        lines += [f'inputs = ["{before}"]', f'outputs = ["{result}"]']
        mappings.append(
            f'{{parameter = "product{number}", file = "{result}", key-string = \'"product"\', tokenizer = ":"}}'
        )
        before = result
    head = [f"output-parameters = {names}", f"parameter-mappings = [{', '.join(mappings)}]"]
    (site.folder / "jobs.toml").write_text("\n".join([*head, *lines]))
    steps = [option for number in range(3) for option in ("--script", f"td{number}=eval.py")]
    options = ["--settings", "jobs.toml", "--input", "input.json", *steps]
    with working(evaluator(site, hps)):
        project = submitted(site, publication, *options, "--sweep", "start=2,3", "--wait")
    rows = results(site, project)
    assert [row["product2"] for row in rows] == ["256.0", "6561.0"]
    assert [row["product0"] for row in rows] == ["4.0", "9.0"]
    names_of_steps = [step["name"] for step in hps.of(project, "task_definitions").values()]
    assert names_of_steps == ["td0", "td1", "td2"]


def test_ten_jobs_of_an_unmodified_script_run_four_at_a_time_on_one_node(
    site: Workplace, hps: Hps
) -> None:
    site.index.add(make_wheel("alpha"))
    body = "import alpha, pathlib\npathlib.Path('plot.png').write_bytes(b'png')\n"
    publication = unmodified(site, "eval.py", body, "--with", "alpha")
    four = [evaluator(site, hps, folder=site.folder / f"tasks-{number}") for number in range(4)]
    with working(*four):
        project = submitted(site, publication, "--output", "plot.png", "-j", "10", "--wait")
    assert {row["status"] for row in results(site, project)} == {"evaluated"}
    assert len(list((site.folder / "results").rglob("plot.png"))) == 10


def test_the_wrapper_of_the_guide_runs_the_input_file_of_a_solver_with_mapped_parameters(
    site: Workplace, hps: Hps
) -> None:
    (body,) = [
        text.partition("\n```")[0]
        for text in GUIDE.read_text().split("```python\n")
        if "model.mac" in text.partition("\n```")[0]
    ]
    publication = unmodified(site, "run_model.py", body)
    (site.folder / "model.mac").write_text("length = 1\n/exit\n")
    program = "given = sys.argv[1:]\nassert given[:5] == ['-b', '-np', '2', '-i', 'model.mac']\n"
    program += "open(given[6], 'w').write('read ' + open(given[4]).read())"
    mapping = '{parameter = "length", file = "model.mac", key-string = "length", tokenizer = "="}'
    options = ["--set", "parameters={length = 5}", "--set", f"parameter-mappings=[{mapping}]"]
    options += ["--input", "model.mac", "--cores", "2"]
    with working(solvers(site, hps, {"Ansys Mechanical APDL": program})):
        project = submitted(site, publication, *options, "--wait")
    results(site, project)
    written = (site.folder / "results" / "job-1" / "model.out").read_text()
    assert written == "read length = 5\n/exit\n"
