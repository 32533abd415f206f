"""When and where each stage runs. What a stage is (command, dependencies, outputs) stands in dvc.yaml."""
import sys
from pathlib import Path
from oyster.runtime.errors import InputError
from oyster.runtime.files import source_files
from oyster.runtime.yaml_file import parse_yaml, read_text, read_yaml
from oyster.settings import load_params
try:  # say what cannot be used, before Snakemake reads it
    load_params("params.yaml", grids=("benchmark", "demo"))
    # dvc.yaml's ${item.env} is {env} here. The demo is the benchmark's stages with another name in commands and paths.
    STAGES = parse_yaml(read_text("dvc.yaml").replace("${item.", "{"), "dvc.yaml")["stages"]
    IMAGE = read_yaml("docker/dvc.yaml")["stages"]["image"]
except InputError as error:
    sys.exit(f"error: {error}")
configfile: "params.yaml"
container: config.get("image")  # for `--sdm apptainer --config image=…` alone (docs/container.md)

TRAIN, REPORT = STAGES["train"], STAGES["report"]
ENVIRONMENT, STAMP = ".pipeline/environment.done", ".pipeline/{env}/{encoder}/{seed}.done"
DVC = "dvc --wait-for-lock repro --pull --allow-missing --single-item "
OUTS = [f.replace("benchmark", "demo") for kind in ("metrics", "plots", "outs") for out in TRAIN[kind] for f in out]

def sources(stage):  # the files that a stage depends on: folders unfolded, without what other stages write
    paths = [Path(dep) for dep in stage["deps"] if dep not in ("docker/environment.json", "results/benchmark")]
    return [str(file) for file in source_files(paths)]
def trials(grid, files):  # of every trial in a grid
    axes = config["grid"][grid]
    return expand(files, env=axes["environments"], encoder=axes["encoders"], seed=axes["seeds"])
def settings(budget):  # what a trial reads of params.yaml
    keys = f"budgets/{budget}/all", f"budgets/{budget}/{{env}}", "environments/{env}", "encoders/{encoder}"
    return [lookup(key, within=config) for key in keys]
def evidence():  # the report's tables and figures that are there; DVC writes and removes them, so no rule may own them
    for caption in Path("reports/captions").glob("*.rst"):
        kind, what = caption.stem, caption.stem.replace("_", " ")
        for path in Path("reports/benchmark").glob("tables/*.csv" if kind == "tables" else f"figures/{kind}_*.svg"):
            labels = {"what": what, "of": path.stem.removeprefix(f"{kind}_")}
            yield report(str(path), caption=str(caption), category=what.split()[0], labels=labels)

rule all:  # the benchmark: DVC decides what is stale and versions what comes out
    input: ".pipeline/report.done", trials("benchmark", STAMP)
    message: "benchmark: up to date"
rule environment:
    input: sources(STAGES["environment"])
    output: touch(ENVIRONMENT)
    params: config.get("runtime")
    shell: "python docker/environment.py --warn && " + DVC + "environment"
rule image:  # the CUDA image, which no other target asks for: `environment` builds what the runtime needs
    input: ["docker/" + dep for dep in IMAGE["deps"]]
    output: touch(".pipeline/image.done")
    shell: DVC + "docker/dvc.yaml:image"
rule trial:
    input: ENVIRONMENT, sources(TRAIN)
    output: touch(STAMP)
    params: *settings("benchmark")
    log: "logs/benchmark/{env}/{encoder}/{seed}.log"
    message: "benchmark: {wildcards.encoder} on {wildcards.env}, seed {wildcards.seed}"
    shell: DVC + "train@{wildcards.env}-{wildcards.encoder}-{wildcards.seed} > {log} 2>&1"
rule report:
    input: trials("benchmark", STAMP), sources(REPORT)
    output: touch(".pipeline/report.done")
    params: config["grid"]["benchmark"]
    message: "benchmark: report"
    shell: DVC + "report"
rule evidence:  # `snakemake evidence --report FILE.html`: Snakemake's own report, after a run
    input: ".pipeline/report.done", sorted(evidence())
rule demo_trial:  # the demo: Snakemake alone, and nothing of it enters git or dvc.lock
    input: ENVIRONMENT, sources(TRAIN)
    output: OUTS
    params: *settings("demo")
    log: "logs/demo/{env}/{encoder}/{seed}.log"
    message: "demo: {wildcards.encoder} on {wildcards.env}, seed {wildcards.seed}"
    shell: TRAIN["cmd"].replace("benchmark", "demo").replace("{", "{wildcards.") + " > {log} 2>&1"
rule demo:
    input: trials("demo", OUTS), sources(REPORT)
    output: "reports/demo/index.html"
    params: config["grid"]["demo"]
    message: "demo: report"
    shell: REPORT["cmd"].replace("benchmark", "demo")
