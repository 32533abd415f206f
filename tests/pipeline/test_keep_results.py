"""A refactoring keeps the results, a change of behaviour does not: the real commands, in a clone without weights."""


def test_keep_results(trained, tmp_path):
    clone = trained.clone(tmp_path / "clone")
    clone.run("python", "-m", "oyster", "canary", "--record")  # this machine may be of a kind that it does not know
    clone.commit("canary of this hardware")

    clone.append("oyster/pearl/posterior.py", "\n# a comment\n")
    clone.append("oyster/trial.py", "\n# another\n")
    assert "modified" in clone.run("dvc", "status", "train@point-robot-mlp-1").stdout
    kept = clone.run("python", "-m", "oyster", "keep-results").stdout
    assert "4 results recorded against the present engine, 0 left stale" in kept
    clone.repro("--allow-missing")
    clone.snakemake()
    assert clone.trained() == set()
    assert "dvc.lock" in clone.status()
    clone.commit("kept")

    # An encoder's edit is none of the canary's business: what it made stale stays stale.
    clone.append("encoders/mlp.py", "\n# edited\n")
    clone.append("oyster/pearl/posterior.py", "\n# a comment more\n")
    kept = clone.run("python", "-m", "oyster", "keep-results").stdout
    assert "2 results recorded" in kept and "2 left stale" in kept
    assert "still stale train@point-robot-mlp-1: encoders/mlp.py" in kept
    clone.repro("--allow-missing")
    assert clone.trained() == {"point-robot/mlp/1", "sparse-point-robot/mlp/1"}
    clone.commit("retrained")

    lock = (clone.folder / "dvc.lock").read_bytes()
    path = clone.folder / "oyster" / "pearl" / "posterior.py"
    path.write_text(path.read_text().replace("MIN_VARIANCE = 1e-7", "MIN_VARIANCE = 1.0"))
    refused = clone.run("python", "-m", "oyster", "keep-results", check=False)
    assert refused.returncode == 2
    assert "different" in refused.stderr and "nothing was recorded" in refused.stderr
    assert (clone.folder / "dvc.lock").read_bytes() == lock
