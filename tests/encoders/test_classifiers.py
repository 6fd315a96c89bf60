import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from encoders.classifiers import CLASSIFIERS, CnnTransformer, Ffcl, StTransformer, build_classifier
from encoders.classifiers.build import scale_channels
from encoders.classifiers.networks import ChannelAttention

COMMON = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
TEN_TWENTY = [*COMMON, "F7", "F8", "T3", "T4", "T5", "T6", "Fz", "Cz", "Pz"]
OURS = ["cnn-transformer", "ffcl", "st-transformer", "labram"]  # these need no braindecode


@pytest.fixture(params=list(CLASSIFIERS))
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in OURS:
        pytest.importorskip("braindecode", reason="extra 'baselines' is not installed")
    return request.param


def noise_uv(*shape: int, seed: int = 0) -> Tensor:
    return 30.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fill(module: nn.Module) -> None:
    """Weights by a formula: a running sine, around 1 for what scales."""
    for number, (key, value) in enumerate(module.state_dict().items()):
        if value.is_floating_point():
            wave = 0.08 * torch.sin(0.7 * torch.arange(value.numel(), dtype=torch.float64) + number)
            around_one = key.endswith("running_var") or (key.endswith("weight") and value.ndim == 1)
            value.copy_((wave + around_one).view(value.shape))


# Logits of the code that circulates with BIOT (ycq091044/BIOT, model/*.py) for the same weights and input, run apart
# from this project; of ST-Transformer with the two deviations that its docstrings name.
REFERENCE = {
    CnnTransformer: [[-0.062162, 0.117173, -0.084773], [-0.061716, 0.116776, -0.084492]],
    Ffcl: [[-0.920235, -0.962434, -0.402924], [-0.895544, -0.923702, -0.374639]],
    StTransformer: [[-0.113821, -0.060615, -0.044124], [-0.106195, -0.075764, -0.023950]],
}


@pytest.mark.parametrize("kind", REFERENCE, ids=lambda kind: kind.__name__)
def test_logits_are_those_of_the_published_code(kind: type[nn.Module]) -> None:
    sizes = {"width": 32} if kind is Ffcl else {"width": 32, "depth": 2}
    network = kind(4, 3, **sizes) if kind is CnnTransformer else kind(4, 3, 2000, **sizes)
    fill(network)
    i = torch.arange(2 * 4 * 2000, dtype=torch.float64)
    signal = (torch.sin(0.013 * i) + 0.5 * torch.sin(0.171 * i + 1)).float().view(2, 4, 2000)
    with torch.no_grad():
        logits = network.eval()(signal)
    torch.testing.assert_close(logits, torch.tensor(REFERENCE[kind]), atol=2e-5, rtol=1e-4)


def test_sizes_are_the_published_ones() -> None:
    """In millions, as LaBraM's comparison lists them (arXiv:2405.18765, Table 1); 16 channels, one output."""
    million = {
        "CNN-Transformer": CnnTransformer(16, 1),
        "FFCL": Ffcl(16, 1, 2000),
        "ST-Transformer": StTransformer(16, 1, 2000),
    }
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in million.items()}
    blocks = 18_720 + 74_304 + 296_064 + 1_181_952  # convolutions 16-32-64-128-256 with their norms, counted by hand
    assert counts["CNN-Transformer"] == blocks + 4 * 395_776 + 257 == 3_154_401
    assert counts["FFCL"] == blocks + 366_592 + 526_336 + 513 == 2_464_481
    assert counts["ST-Transformer"] == 4_000 + 912 + 15_552 + 246_016 + 4 * 789_760 + 257 == 3_425_777
    printed = {"CNN-Transformer": 3.2, "FFCL": 2.4, "ST-Transformer": 3.5}
    assert all(abs(counts[name] / 1e6 - size) < 0.1 for name, size in printed.items())


def test_sizes_from_braindecode_are_the_published_ones() -> None:
    pytest.importorskip("braindecode", reason="extra 'baselines' is not installed")
    for name, printed in {"contrawr": 1.6, "biot": 3.2, "labram": 5.8}.items():
        count = sum(p.numel() for p in build_classifier(name, 2, TEN_TWENTY).parameters())
        assert count / 1e6 == pytest.approx(printed, abs=0.06)


def test_windows_become_logits_and_all_parameters_learn(name: str) -> None:
    torch.manual_seed(0)
    classifier = build_classifier(name, 3, TEN_TWENTY, size="tiny")
    logits = classifier(noise_uv(2, 19, 2000))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in classifier.parameters())


def test_eight_segments_are_learned_by_heart(name: str) -> None:
    torch.manual_seed(0)
    classifier = build_classifier(name, 2, TEN_TWENTY, n_times=600, size="tiny")
    for module in classifier.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    signal_uv, labels = noise_uv(8, 19, 600), torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    optimizer = torch.optim.Adam(classifier.parameters(), lr=5e-4 if name == "biot" else 4e-3)
    losses = []
    while len(losses) < 150 and (not losses or losses[-1] > 0.1 * losses[0]):
        loss = nn.functional.cross_entropy(classifier(signal_uv), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("name", ["cnn-transformer", "ffcl", "st-transformer"])
def test_the_amplitude_of_a_channel_does_not_matter(name: str) -> None:
    torch.manual_seed(0)
    classifier = build_classifier(name, 2, TEN_TWENTY, size="tiny").eval()
    signal_uv = noise_uv(1, 19, 2000)
    louder = signal_uv * torch.linspace(0.5, 3, 19)[:, None]
    with torch.no_grad():
        torch.testing.assert_close(classifier(louder), classifier(signal_uv), atol=1e-5, rtol=1e-4)


def test_channels_are_divided_by_a_percentile() -> None:
    signal = noise_uv(2, 3, 400)
    expected = signal.numpy() / np.quantile(np.abs(signal.numpy()), 0.95, axis=2, keepdims=True)
    np.testing.assert_allclose(scale_channels(signal).numpy(), expected, rtol=1e-5)


def test_channel_attention_mixes_channels() -> None:
    """Two channels that run alike take from each other more than from a third that does not."""
    attention = ChannelAttention(3).eval()
    slow = torch.sin(torch.arange(2000) * 2 * math.pi / 1000)
    signal = torch.stack([slow, slow, -slow]).unsqueeze(0)
    for part in (attention.query, attention.key):
        part[0].weight.data.copy_(torch.eye(3))
    weights = attention.weights(signal)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 3))
    assert weights[0, 0, 1] > 2 * weights[0, 0, 2]
    changed = signal.clone()
    changed[:, 1] *= 3
    assert not torch.allclose(attention(changed)[:, 0], attention(signal)[:, 0])


def test_labram_is_that_of_braindecode(tmp_path: object) -> None:
    models = pytest.importorskip("braindecode.models", reason="extra 'baselines' is not installed")
    torch.manual_seed(0)
    theirs = models.Labram(n_times=3000, n_outputs=2, n_chans=19, sfreq=200, use_mean_pooling=True).eval()
    with torch.no_grad():  # tables start at zero or nearly so: make their rows differ
        for table in (theirs.position_embedding, theirs.temporal_embedding):
            table.copy_(0.3 * torch.randn(table.shape))
    path = f"{tmp_path}/labram.safetensors"
    save_file({key: value.contiguous() for key, value in theirs.state_dict().items()}, path)
    ours = build_classifier("labram", 2, TEN_TWENTY, 3000, weights=path).eval()
    ours.network.head.load_state_dict(theirs.final_layer.state_dict())
    signal_uv = noise_uv(2, 19, 3000)
    with torch.no_grad():
        torch.testing.assert_close(ours(signal_uv), theirs(signal_uv / 100, ch_names=TEN_TWENTY), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"name": "resnet"}, "got classifier 'resnet', expected one of eegnet"),
        ({"size": "huge"}, "got size 'huge', expected one of tiny, base"),
        ({"n_classes": 1}, "got 1 classes"),
        ({"weights": "x.pth"}, "got weights for 'ffcl', expected none"),
    ],
)
def test_wrong_words_are_named(words: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build_classifier(**({"name": "ffcl", "n_classes": 2, "ch_names": TEN_TWENTY} | words))  # type: ignore[arg-type]


def test_another_layout_is_refused() -> None:
    classifier = build_classifier("ffcl", 2, TEN_TWENTY, size="tiny")
    with pytest.raises(ValueError, match=r"got a signal of shape \(2, 18, 2000\), expected \(B, 19, 2000\)"):
        classifier(noise_uv(2, 18, 2000))
