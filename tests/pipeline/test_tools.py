"""The results in the tools' own eyes: Snakemake's report, DVC's metrics and plots."""

import json
import re


def test_snakemakes_report_holds_the_key_file_with_its_caption(project):
    project.run("snakemake", "--report", "shown.html")
    page = (project.folder / "shown.html").read_text()
    (key_file,) = (project.folder / "reports" / "benchmark").glob("*.key.json")
    assert key_file.name in page and "open index.html beside this file" in page
    assert "<script src" not in page and '<link rel="stylesheet" href' not in page
    assert project.trained() == set()


def test_dvc_shows_and_compares_metrics(project):
    metrics = "results/benchmark/point-robot/mlp/1/metrics.json"
    shown = json.loads(project.run("dvc", "metrics", "show", "--json").stdout)[""]["data"]
    before = json.loads((project.folder / metrics).read_text())
    assert len(shown) == 4 and shown[metrics]["data"]["meta_test_return"] == before["meta_test_return"]
    changed = before | {"meta_test_return": before["meta_test_return"] + 1}
    (project.folder / metrics).write_text(json.dumps(changed))
    told = json.loads(project.run("dvc", "metrics", "diff", "--json").stdout)[metrics]["meta_test_return"]
    assert round(told["diff"], 6) == 1 and told["old"] == before["meta_test_return"]


def test_dvc_plots_all_encoders_of_an_environment_together(project):
    told = project.run("dvc", "plots", "show", "--out", "plots")
    assert "failed" not in told.stdout + told.stderr
    page = (project.folder / "plots" / "index.html").read_text()
    plots = re.findall(r'<div id = "([^"]+)">', page)
    assert "reports_benchmark_tables_learning_csv" in plots and len(plots) == 1 + 4
    spec = json.loads(
        re.search(r"var spec = (\{.*?\});\s+vegaEmbed\('#reports_benchmark_tables_learning_csv'", page)[1]
    )
    encoding = spec["spec"]["encoding"]
    assert spec["facet"]["column"]["field"] == "environment" and encoding["color"]["field"] == "encoder"
    values = spec["data"]["values"]
    assert {(row["environment"], row["encoder"]) for row in values} == {
        (env, encoder) for env in ("point-robot", "sparse-point-robot") for encoder in ("mlp", "recurrent")
    }
