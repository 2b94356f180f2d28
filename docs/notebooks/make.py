"""Write the notebooks here and run them: `python docs/notebooks/make.py`."""

import pathlib
import re

import nbclient
import nbformat

HERE = pathlib.Path(__file__).parent
SOURCES = ("pair", "own_network", "dynamics")


def notebook(name: str) -> nbformat.NotebookNode:
    """Return the notebook of NAME.py, whose cells begin with '# %%', of text '# %% [markdown]'."""
    made = nbformat.v4.new_notebook()
    parts = re.split(r"^# %%(.*)\n", (HERE / f"{name}.py").read_text(), flags=re.MULTILINE)
    for at, (kind, text) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        text = text.strip()
        if "markdown" in kind:
            cell = nbformat.v4.new_markdown_cell(re.sub(r"^# ?", "", text, flags=re.MULTILINE))
        else:
            cell = nbformat.v4.new_code_cell(text)
        cell["id"] = f"cell-{at}"
        made.cells.append(cell)
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return made


def run(name: str, directory: str | pathlib.Path) -> nbformat.NotebookNode:
    """Return the notebook with its outputs, run in a directory; an error in a cell is raised."""
    made = notebook(name)
    resources = {"metadata": {"path": str(directory)}}
    nbclient.NotebookClient(made, timeout=900, resources=resources).execute()
    for cell in made.cells:  # times of a run say nothing
        cell.metadata.pop("execution", None)
    return made


if __name__ == "__main__":
    import tempfile

    for name in SOURCES:
        with tempfile.TemporaryDirectory() as directory:
            nbformat.write(run(name, directory), HERE / f"{name}.ipynb")
