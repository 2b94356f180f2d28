"""The command `qc-jax NAME …`: what `python -m experiments.NAME …` is in a clone."""

import importlib
import importlib.util
import os
import runpy
import sys

SCRIPTS = {
    "train": "train one model, or a sweep of them, and score it",
    "predict": "predict the targets of pairs with a trained model",
    "evaluate": "score a trained model on other test rows",
    "benchmark": "train and score models × targets × seeds as one grid",
    "study": "run one of the paper's studies on a benchmark's directory",
    "report": "make a report of results, as a page with tables and figures",
    "explorer": "make a page of all pairs: orbitals, levels, predictions, maps",
    "submit": "write a model's results as a file for others' reports",
    "finetune": "train on molecules or crystals, from other weights or from scratch",
    "simulate": "move atoms on a trained energy model",
    "generate": "compute pairs with an engine",
    "export": "write a table in a format of other programs",
    "compare": "compare two tables, label by label",
    "gallery": "draw canvases or densities",
    "import_torch": "take over the weights of a PyTorch checkpoint",
    "compile": "say what a training costs on TPUs or GPUs that are not here",
    "speed": "time things on this machine",
}
_PACKAGES = ("qc_jax.experiments", "experiments")  # as installed, and in a clone


def main() -> None:
    """Run the script that the first word of the command line names, with the words behind it."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print("usage: qc-jax NAME [--help] …\n")
        print("\n".join(f"  {each:13s}{about}" for each, about in SCRIPTS.items()))
        return
    if name not in SCRIPTS:
        known = ", ".join(SCRIPTS)
        print(f"error: unknown command {name!r}; choose one of: {known}", file=sys.stderr)
        sys.exit(2)
    package = next(each for each in _PACKAGES if importlib.util.find_spec(each))
    importlib.import_module(package)  # sets OpenBLAS's threads, before NumPy loads it
    from qc_jax.runs import cli  # JAX comes with it

    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # for --config.model=my_module:Model
    sys.argv = [f"qc-jax {name}", *words]
    with cli.told():
        runpy.run_module(f"{package}.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
