"""The notebooks run from the first cell to the last in a fresh clone, and hold no outputs in git."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    import nbformat

    return nbformat.read(request.param, as_version=4)


def test_outputs_are_stripped(notebook):
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None, cell.source
        assert cell.source == cell.source.strip() and cell.metadata == {}


def test_it_runs(notebook, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    monkeypatch.setenv("MPLBACKEND", "agg")
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS[0].parent)}}).execute()
    streams = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert [out for out in streams if out.output_type == "error"] == []
    assert any("exploring trajectories" in out.get("text", "") for out in streams)
