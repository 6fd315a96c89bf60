"""Three classifiers of EEG windows that no library offers: CNN-Transformer, FFCL and ST-Transformer.

They are baselines in NeuroNarrator's Table 5 as in BIOT's and LaBraM's tables before it, in the sizes that those used:
CNN-Transformer after Peh et al. (EMBC 2022), FFCL after Li et al. (Biomed. Signal Process. Control 72, 2022), and
ST-Transformer after Song et al. (arXiv:2106.11170).

Shapes: B batch, C channels, T samples, K classes, D width, S sections of a window.
"""

import math

import torch
from einops import rearrange
from torch import Tensor, nn

N_FFT, HOP = 200, 10
"""Samples of a spectrum and from one to the next: one second and 50 ms at 200 Hz."""


class ResidualBlock(nn.Module):
    """Two convolutions of 3 x 3 and a strided one beside them, added, then pooled: a quarter of rows and columns."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs))
        self.shrink = nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, rows, columns) -> (B, outputs, about rows / 4, about columns / 4)."""
        return self.shrink(self.body(x) + self.shortcut(x))


class SpectrogramNet(nn.Module):
    """Amplitudes of short-time spectra through four residual blocks; one vector a window.

    Args:
        n_chans: C.
        width: D, a multiple of 8.
    """

    window: Tensor

    def __init__(self, n_chans: int, width: int) -> None:
        super().__init__()
        widths = [n_chans, width // 8, width // 4, width // 2, width]
        self.blocks = nn.Sequential(*map(ResidualBlock, widths, widths[1:]))
        self.register_buffer("window", torch.ones(N_FFT), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        """(B, C, T) -> (B, D); T at least 200."""
        spectra = torch.stft(signal.flatten(0, 1), N_FFT, HOP, window=self.window, normalized=True, return_complex=True)
        amplitudes = spectra.abs().unflatten(0, signal.shape[:2])  # (B, C, frequencies, frames)
        return self.blocks(amplitudes).mean(dim=(2, 3))


class CnnTransformer(nn.Module):
    """A residual network over the spectrogram of each of five sections, a transformer over the sections.

    Args:
        n_chans: C.
        n_classes: K.
        width: D.
        depth: layers of the transformer.
        n_sections: S; samples that do not fill the last one are left out.
    """

    def __init__(self, n_chans: int, n_classes: int, width: int = 256, depth: int = 4, n_sections: int = 5) -> None:
        super().__init__()
        self.n_sections = n_sections
        self.cnn = SpectrogramNet(n_chans, width)
        self.register_buffer("position", _sinusoids(n_sections, width), persistent=False)
        self.dropout = nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(width, 4, width, dropout=0.2, activation="gelu", batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.ELU(), nn.Linear(width, n_classes))

    def forward(self, signal: Tensor) -> Tensor:
        """(B, C, T) -> logits (B, K)."""
        length = signal.shape[2] // self.n_sections
        sections = rearrange(signal[..., : length * self.n_sections], "b c (s l) -> (b s) c l", s=self.n_sections)
        tokens = self.cnn(sections).unflatten(0, (len(signal), self.n_sections))
        return self.head(self.transformer(self.dropout(tokens + self.position)).mean(dim=1))


class Ffcl(nn.Module):
    """Features of a residual network over the spectrogram and of an LSTM over the samples, side by side.

    The LSTM reads every 20th sample: from the first one in all channels, then from the second one, and so on.

    Args:
        n_chans: C.
        n_classes: K.
        n_times: T.
        width: D of either half.
        n_phases: steps between the samples of one reading.
    """

    def __init__(self, n_chans: int, n_classes: int, n_times: int, width: int = 256, n_phases: int = 20) -> None:
        super().__init__()
        self.n_phases = n_phases
        self.cnn = SpectrogramNet(n_chans, width)
        self.lstm = nn.LSTM(n_times // n_phases, width, num_layers=2, batch_first=True, dropout=0.5)
        self.head = nn.Sequential(nn.ELU(), nn.Linear(2 * width, n_classes))

    def forward(self, signal: Tensor) -> Tensor:
        """(B, C, T) -> logits (B, K); T as given, a multiple of `n_phases`."""
        readings = rearrange(signal, "b c (l p) -> b (p c) l", p=self.n_phases)
        return self.head(torch.cat([self.cnn(signal), self.lstm(readings)[0][:, -1]], dim=1))


class ChannelAttention(nn.Module):
    """Channels are mixed by how alike their course is, in means over half a second.

    Code that circulates multiplies each channel by the sum of its weights, which is 1, so that nothing is mixed; here
    the weights mix the channels, as the paper says.

    Args:
        n_chans: C.
        pool: samples of a mean.
    """

    def __init__(self, n_chans: int, pool: int = 100) -> None:
        super().__init__()
        self.query, self.key, self.value = (_mixing(n_chans) for _ in range(3))
        self.pool = nn.AvgPool1d(pool)

    def weights(self, signal: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, C): the part of each channel (last axis) in the new ones; rows sum to 1."""
        query, key = (self.pool(part(signal.mT).mT) for part in (self.query, self.key))  # (B, C, T / pool)
        return (query @ key.mT / math.sqrt(query.shape[2])).softmax(dim=-1)

    def forward(self, signal: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        return self.value((self.weights(signal) @ signal).mT).mT


class StTransformer(nn.Module):
    """Attention among channels, then among patches of time.

    Attention among patches is scaled a head, as is usual, and not by the whole width.

    Args:
        n_chans: C.
        n_classes: K.
        n_times: T.
        width: D.
        depth: layers of the transformer.
    """

    def __init__(self, n_chans: int, n_classes: int, n_times: int, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        self.spatial = nn.Sequential(nn.LayerNorm(n_times), ChannelAttention(n_chans), nn.Dropout(0.5))
        self.patches = nn.Sequential(
            nn.Conv1d(n_chans, width // 4, 15, stride=8),
            nn.BatchNorm1d(width // 4),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width // 4, width, 15, stride=8),
        )
        layer = nn.TransformerEncoderLayer(
            width, 8, 4 * width, dropout=0.5, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.ELU(), nn.Linear(width, n_classes))

    def forward(self, signal: Tensor) -> Tensor:
        """(B, C, T) -> logits (B, K)."""
        tokens = self.patches(signal + self.spatial(signal)).mT  # (B, patches, D)
        return self.head(self.transformer(tokens).mean(dim=1))


def _mixing(n_chans: int) -> nn.Sequential:
    linear = nn.Linear(n_chans, n_chans)
    nn.init.xavier_normal_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.LayerNorm(n_chans), nn.Dropout(0.3))


def _sinusoids(length: int, width: int) -> Tensor:
    """Sines and cosines of falling frequency, in turn (Vaswani et al. 2017), (length, width)."""
    frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angle = torch.arange(length).unsqueeze(1) * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
