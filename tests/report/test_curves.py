"""Training curves and skill."""

import pytest

from qc_jax.report import curves, leaderboard
from tests.report import planted


def test_of_training_is_the_mean_over_the_seeds_that_got_there(tmp_path):
    planted.write(tmp_path, {"gcn": 0.2}, ["e_homo_ev"], [42], epochs=4)
    planted.training(
        tmp_path / "trainings" / "gcn-e_homo_ev-seed1", "gcn", "e_homo_ev", 1, 0.4, epochs=2
    )
    planted.training(
        tmp_path / "trainings" / "vit-e_homo_ev-seed1", "vit", "e_homo_ev", 1, 0.4, epochs=1
    )
    made = planted.read(tmp_path)
    (rows,) = leaderboard.sections(made.frame).values()
    found = curves.of_training(rows, made.epochs)
    assert set(found.label) == {"gcn"}  # vit has one epoch, as what is solved at once
    assert found.epoch.tolist() == [1, 2, 3, 4] and found.seeds.tolist() == [2, 2, 1, 1]
    assert found.validation_mae[0] == pytest.approx((0.4 + 0.8) / 2)
    assert (found.low[0], found.high[0]) == pytest.approx((0.4, 0.8))
    picture = curves.draw_training("x", "X", found, ["e_homo_ev", "e_g_ev"])
    (axis,) = picture.figure.axes
    assert list(axis.get_lines()[0].get_ydata()) == found.validation_mae.tolist()


def test_skill_has_the_best_on_top_and_marks_what_is_leaked(tmp_path):
    planted.write(tmp_path, {"gcn": 0.4, "egnn": 0.2}, seeds=[42])
    (rows,) = leaderboard.sections(planted.read(tmp_path).frame).values()
    found = leaderboard.scores(rows)
    picture = curves.draw_skill("x", found, ["e_homo_ev", "distance_ang"])
    assert picture is not None and picture.data.label.tolist() == ["egnn", "gcn"]
    words = [text.get_text() for text in picture.figure.axes[0].texts]
    assert words == ["0.75", "0.75†", "0.50", "0.50"]
    assert curves.draw_skill("x", found[:0].assign(skill=[]), []) is None


def test_a_caption_tells_of_seeds_only_where_there_are_some(tmp_path):
    planted.write(tmp_path, {"gcn": 0.2}, ["e_homo_ev"], [42], epochs=4)
    (rows,) = leaderboard.sections(planted.read(tmp_path).frame).values()
    found = curves.of_training(rows, planted.read(tmp_path).epochs)
    one = curves.draw_training("x", "X", found, ["e_homo_ev"])
    assert one.caption == "Validation MAE after each epoch, one seed."
    two = curves.draw_training("x", "X", found.assign(seeds=2), ["e_homo_ev"])
    assert two.caption.endswith(", mean over the seeds; the band spans them.")


def test_names_of_files_are_words():
    names = [leaderboard.slug(title) for title in leaderboard.FAMILIES]
    assert "dipole" in names and all(name.isalpha() for name in names)
    assert len(set(names)) == len(names)
