"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from qc_jax.data.targets import target
from qc_jax.evaluate import metrics

if TYPE_CHECKING:
    import pandas as pd

_PARTS = {"train": "training", "validation": "validation", "test": "test"}  # of a split


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table: the first column is text, the others are set flush right."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # Logs and pipes have no width of their own; cutting numbers to fit 80 columns helps nobody.
    Console(width=160, highlight=False, soft_wrap=True).print(table)


def number(value: float) -> str:
    """Four significant digits, plainly written where that stays short."""
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.3e}"


def show_result(result: dict[str, Any], listed: str = "listed in result.json") -> None:
    """Prints the test errors of a result.json; `listed` says where the left-out pairs are."""
    trained_on, seconds = result.get("trained_on", result), result["seconds"]
    tested, sizes = result["split_sizes"]["test"], trained_on["split_sizes"]
    baselines, of = result["baselines"], result.get("rows", "pairs")
    additive = "pair_mean" if "pair_mean" in baselines else "element_sum"
    beside = ("training_median", additive)
    whose = f"{result['model']} on {result['dataset']}"
    numbers, classes = [], []
    for name, errors in result["test"].items():
        leaks = ", ".join(result["leaked_by"][name]) or "-"
        if target(name).is_class:
            told = [number(errors["accuracy"]), *_class_words(errors)]
            others = [number(baselines[rule][name]["accuracy"]) for rule in beside]
            classes.append((name, *told, *others, leaks))
            continue
        told = [target(name).unit, *(number(errors[metric]) for metric in metrics.REGRESSION)]
        others = [number(baselines[rule][name]["mae"]) for rule in beside]
        numbers.append((name, *told, *others, leaks))
    rule = additive.replace("_", " ")
    if numbers:
        heads = ["target", "unit", "MAE", "RMSE", "median AE", "R²"]
        heads += ["MAE of median", f"MAE of {rule}", "leaked by"]
        show(f"{whose}: errors on {tested} test {of}", heads, numbers)
    if classes:
        heads = ["target", "accuracy", "balanced accuracy", "AUROC", "cross-entropy"]
        heads += ["accuracy of majority", f"accuracy of {rule}", "leaked by"]
        show(f"{whose}: classes of {tested} test {of}", heads, classes)
    for name, errors in result["test"].items():
        if "constant" in errors:
            value, unit = number(errors["constant"]), target(name).unit
            print(f"{name}: predicts one constant, {value} {unit}, for every test row")
    print(f"split {result['split']}: {result['split_description']}")
    pairs = f"{sizes['train']} training, {sizes['validation']} validation {of}"
    if trained_on is not result:
        pairs += f" of {trained_on['dataset']}, split {trained_on['split']}"
    words = [pairs, f"{result['parameters']:,} parameters"]
    imported = result.get("imported")
    if not imported:
        words.append(f"best epoch {result['best_epoch']} of {result['epochs']}")
    if seconds:
        words.append(f"compiled in {seconds['compile']:.0f} s, trained in {seconds['train']:.0f} s")
    print("; ".join(words))
    if imported:
        print(imported_words(imported))
    for note in result.get("notes", ()):
        print(note)
    if "transfer" in result:
        print(_started(result["transfer"]))
    if result["left_out"]:
        print(f"{len(result['left_out'])} {of} left out, {listed}")


def imported_words(imported: Mapping[str, Any]) -> str:
    """Return where weights come from that were trained elsewhere, 'imported' of a result.json."""
    return (
        f"weights imported from {imported['file']}, labels scaled by {imported['scaled_by']}; "
        f"a test only if they were {imported['presumed']}"
    )


def _class_words(errors: Mapping[str, float]) -> tuple[str, ...]:
    """Return balanced accuracy and AUROC with their intervals, and the cross-entropy."""
    found = []
    for name in ("balanced_accuracy", "auroc"):
        ends = (number(errors[f"{name}_{end}"]) for end in ("low", "high"))
        found.append(f"{number(errors[name])} ({' to '.join(ends)})")
    return (*found, number(errors["cross_entropy"]))


def _started(transfer: dict[str, Any]) -> str:
    """How a training that may have been fine-tuned began."""
    words = [f"started from {transfer['source']}"]
    if "taken" in transfer:
        taken, new = len(transfer["taken"]), transfer["not_taken"]
        words.append(f"{taken} of {taken + len(new)} variables taken over")
    if transfer["layer_lr"]:
        words.append(f"learning rates times {transfer['layer_lr']}")
    lines, new = ["; ".join(words)], transfer.get("not_taken", {})
    for reason in dict.fromkeys(new.values()):
        names = ", ".join(name for name, why in new.items() if why == reason)
        lines.append(f"  {reason}: {names}")
    return "\n".join(lines)


def show_ensemble(found: dict[str, Any]) -> None:
    """Prints what `Ensemble.score` gave."""
    columns = {
        "MAE": "mae",
        "a member": "mae_member",
        **{f"in {c} %": f"coverage_{c}" for c in (50, 80, 95)},
        "± (80 %)": "half_width_80",
        "rank corr.": "rank_correlation",
        "surest ¼": "mae_quarter_1",
        "last ¼": "mae_quarter_4",
    }
    rows = []
    for name, of in found["test"].items():
        cells = [
            f"{of[key]:.1%}"
            if key.startswith("coverage")
            else number(of[key])
            if key in of
            else "-"
            for key in columns.values()
        ]
        rows.append((f"{name} †" if of["leaked_by"] else name, of["unit"], *cells))
    title = f"ensemble of {found['members']} on {found['rows']} test rows"
    show(title, ("target", "unit", *columns), rows)
    if any(of["leaked_by"] for of in found["test"].values()):
        print("†: follows from what the model reads")


def _between(sizes: "pd.Series") -> str:
    """Return a number of rows, or the smallest and the largest."""
    ends = dict.fromkeys((int(sizes.min()), int(sizes.max())))
    return " to ".join(f"{end:,}" for end in ends)


def show_sweep(path: str) -> None:
    """Prints the test errors of a sweep's results.csv, mean and deviation over the seeds."""
    from qc_jax.runs import results

    show_errors(results.read(path))
    print(f"all in {path}")


def show_errors(frame: "pd.DataFrame") -> None:
    """Prints test errors, rows of the long table of results, mean and deviation over the seeds."""
    import pandas as pd  # half a second, which a prediction does without

    from qc_jax.runs import results

    frame = frame[frame.metric != results.P_AGAINST_SECOND]
    own = ("model", "target", "split", "setting", "lr", "weight_decay", "dropout")
    shown = [name for name in own if name == "target" or frame[name].nunique(dropna=False) > 1]
    errors = results.summary(frame, shown)
    additive = "element_sum" if "mae_element_sum" in set(frame.metric) else "pair_mean"
    rules = ("training_median", additive)
    baselines = {rule: results.summary(frame, shown, f"mae_{rule}")["mean"] for rule in rules}
    rows = []
    for index, line in errors.iterrows():
        spread = f" ± {number(line['std'])}" if line["seeds"] > 1 else ""
        rows.append(
            (
                *("-" if pd.isna(line[name]) else f"{line[name]}" for name in shown),
                target(str(line["target"])).error_unit,
                number(line["mean"]) + spread,
                str(line["seeds"]),
                *(number(values[index]) for values in baselines.values()),
                line["leaked_by"] or "-",
            )
        )
    against = [f"MAE of {rule.removeprefix('training_').replace('_', ' ')}" for rule in rules]
    columns = (*shown, "unit", "test MAE", "seeds", *against)
    of = "structures" if additive == "element_sum" else "pairs"
    show(f"errors on the test {of}", (*columns, "leaked by"), rows)
    for split, rows_of in frame[frame.status == results.FINISHED].groupby("split", sort=False):
        sizes = [f"{_between(rows_of[f'{part}_rows'])} {word}" for part, word in _PARTS.items()]
        print(f"split {split}: {', '.join(sizes)} {of}")
        if rows_of.train_rows.nunique() > 1:
            print(f"not all have the same {of}: each result.json lists what is left out, and why")
    for _, line in frame[frame.status != results.FINISHED].iterrows():
        print(f"{line['training']}, {line['target']}: {line['status']}")
