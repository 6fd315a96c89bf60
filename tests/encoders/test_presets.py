import pytest

from encoders.presets import BASE, TINY, SignalEncoderPreset


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"embed_dim": 96, "num_heads": 4}, "embed_dim=96"),
        ({"embed_dim": 100, "num_heads": 3}, "num_heads=3.*use 5"),
        ({"embed_dim": 100, "num_heads": 5, "drop_path": 1.0}, "drop_path=1.0"),
    ],
)
def test_presets_refuse_sizes_that_do_not_fit(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SignalEncoderPreset(depth=2, **fields)


def test_presets_are_the_stated_sizes():
    assert (TINY.embed_dim, TINY.depth, TINY.num_heads, TINY.mlp_ratio, TINY.out_chans) == (100, 4, 5, 4, 4)
    assert (BASE.embed_dim, BASE.depth, BASE.num_heads, BASE.mlp_ratio, BASE.out_chans) == (200, 12, 10, 4, 8)
