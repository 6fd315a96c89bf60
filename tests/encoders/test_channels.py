import pytest

from encoders.channels import CHANNEL_NAMES, CHANNEL_ROWS, channel_rows


def test_old_and_new_names_have_their_own_rows():
    assert channel_rows(["T3", "T7", "t3", "fp1"]) == (88, 37, 88, 0)
    assert channel_rows(["T5", "T4", "T6", "P7", "T8", "P8"]) == (89, 90, 91, 59, 45, 67)


def test_old_and_new_names_share_a_row_when_asked_to():
    old, new = ["T3", "T4", "T5", "T6", "Cz"], ["t7", "T8", "P7", "P8", "Cz"]
    assert channel_rows(old, "new") == channel_rows(new, "new") == channel_rows(new)
    assert channel_rows(new, "old") == channel_rows(old, "old") == channel_rows(old)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Fp1", "EEG Fp2-REF", "ECG"], r"\['EEG Fp2-REF', 'ECG'\].*leave these channels out"),
        (["FP1-F7", "C4-P4"], r"\['C4-P4'\].*no row"),
    ],
)
def test_names_without_a_row_are_refused(names: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        channel_rows(names)


def test_every_row_of_the_table_is_reachable():
    assert channel_rows(CHANNEL_NAMES[:CHANNEL_ROWS]) == tuple(range(CHANNEL_ROWS))
