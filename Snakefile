"""When and where each trial runs. What to try stands in params.yaml; what a result depends on, in oyster/key.py.

A result's key is in its file's name, so a file that is missing is the only reason to run anything.
"""
import hashlib
import sys
from pathlib import Path
from oyster.grid import load_params
from oyster.key import Tree
from oyster.runtime.errors import InputError
from oyster.status import keyed_trials, report_key, require_whole
if config:
    sys.exit("error: --config and --configfile are not read here: settings stand in params.yaml alone.")
try:
    PARAMS, TREE = load_params(), Tree()
    TRIALS = {grid: keyed_trials(PARAMS, grid, TREE) for grid in PARAMS.grids}
    REPORTS = {grid: f"reports/{grid}/{report_key(PARAMS, grid, TRIALS[grid], TREE).text}.key.json" for grid in TRIALS}
    require_whole([*(each.key_file for trials in TRIALS.values() for each in trials), *map(Path, REPORTS.values())])
except InputError as error:
    sys.exit(f"error: {error}")

DOCKER = ["environment.py", "image.py", "image.yaml", "Dockerfile", "requirements-cuda.txt", "requirements-cpu.txt"]
DOCKER = [*(f"docker/{name}" for name in DOCKER), "requirements.txt"]
RECORD = Path("docker/environment.json")  # of another runtime or lock: made anew, before a trial needs it
STATE = [PARAMS.runtime.encode(), *(path.read_bytes() for path in map(Path, [*DOCKER, RECORD]) if path.exists())]
ENVIRONMENT = f".pipeline/environment-{hashlib.sha256(bytes().join(STATE)).hexdigest()[:16]}.done"
RESULT = "results/{grid}/{env}/{agent}/{seed}"
NEW = [*(each.key_file for each in TRIALS.get("benchmark", [])), Path(REPORTS.get("benchmark", "none"))]
NEW = [path for path in NEW if not path.exists()]  # what DVC is told of at the end

wildcard_constraints: key="[0-9a-f]{16}", seed="[0-9]+", grid="[a-z0-9-]+", env="[a-z0-9-]+", agent="[a-z0-9-]+"

def record():
    if any(path.exists() for path in NEW):
        shell("python -m oyster record")
onsuccess: record()
onerror: record()

def wanted(grid):  # the trials too: a report that is there does not say that they are
    return [REPORTS[grid], *(str(each.key_file) for each in TRIALS[grid])] if grid in TRIALS else []

def unless(output, needed):  # what is there needs nothing: else Snakemake would run it again after what it needs
    return lambda w: [] if Path(output.format(**w)).exists() else needed(w)

rule all:
    input: wanted("benchmark")
    message: "benchmark: up to date"

for grid in TRIALS:
    rule:
        name: grid
        input: wanted(grid)
        message: f"{grid}: up to date"

rule environment:  # what trials run in: the host as it is, or the image of docker/Dockerfile
    output: touch(ENVIRONMENT)
    shell: "python docker/environment.py --warn && python docker/environment.py"

rule image:  # the CUDA image, which no other target asks for
    shell: "python docker/image.py --variant cuda"

rule trial:
    input: unless(RESULT + "/{key}.key.json", lambda w: [ENVIRONMENT])
    output: RESULT + "/{key}.key.json"
    log: "logs/{grid}/{env}/{agent}/{seed}.{key}.log"
    message: "{wildcards.grid}: {wildcards.agent} on {wildcards.env}, seed {wildcards.seed}"
    params: preset=lambda w: PARAMS.grids[w.grid].preset
    shell:
        "docker/run python -m oyster train --env {wildcards.env} --agent {wildcards.agent} --seed {wildcards.seed}"
        " --preset {params.preset} --out " + RESULT.replace("{", "{wildcards.") + " --weights "
        + RESULT.replace("{", "{wildcards.").replace("results", "weights")
        + " --expect-key {wildcards.key} --record-failure > {log} 2>&1"

rule report:
    input: unless("reports/{grid}/{key}.key.json", lambda w: [str(each.key_file) for each in TRIALS[w.grid]])
    output: report("reports/{grid}/{key}.key.json", category="{grid}", caption="oyster/report/templates/report.rst")
    message: "{wildcards.grid}: report"
    shell: "python -m oyster report {wildcards.grid} --expect-key {wildcards.key}"
