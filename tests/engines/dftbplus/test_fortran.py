"""Numbers as Fortran prints them, and files that are none."""

import pytest

from qc_jax.engines.dftbplus.fortran import number, read_text
from qc_jax.engines.engine import EngineError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-5.0286435234", -5.0286435234),
        ("0.52449473E+01", 5.2449473),
        ("-0.17391385E-07", -1.7391385e-08),
        ("1.4463634+102", 1.4463634e102),  # no room for the E
        ("-0.14463634-102", -1.4463634e-103),
        ("0.346475181819771D-185", 3.46475181819771e-186),
        (".5", 0.5),
        ("7", 7.0),
        ("-0.00000000", 0.0),
    ],
)
def test_numbers(text, value):
    assert number(text, "x") == pytest.approx(value, rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("****************", "numbers: x is too wide for its column: ****************"),
        ("NaN", "numbers: x is NaN"),
        ("-Infinity", "numbers: x is -Infinity"),
        ("1.0E+999", "numbers: x is 1.0E+999, more than a number can be"),
        ("1.2.3", "numbers: x: expected a number, got '1.2.3'"),
        ("1_000", "numbers: x: expected a number, got '1_000'"),  # Python's float takes it
        ("1.0+12", "numbers: x: expected a number, got '1.0+12'"),
        ("-1.5-2.5", "numbers: x: expected a number, got '-1.5-2.5'"),  # two without a space
        ("", "numbers: x: expected a number, got ''"),
    ],
)
def test_what_is_no_number(text, reason):
    with pytest.raises(EngineError) as raised:
        number(text, "x")
    assert str(raised.value) == reason


def test_files(tmp_path):
    path = tmp_path / "band.out"
    assert read_text(path) is None
    path.write_bytes(b"a \xe2\x88\x92 b")
    assert read_text(path) == "a − b"
    path.write_bytes(b"ab\xff\x00")
    with pytest.raises(EngineError, match=r"files: band\.out: expected text, .* position 2"):
        read_text(path)
    assert read_text(path, errors="replace") == "ab\ufffd\x00"
    path.unlink()
    path.mkdir()
    with pytest.raises(EngineError, match=r"files: band\.out: expected a file, got"):
        read_text(path)
