import numpy as np
import pytest
from scipy.signal import welch

from corpus.spectra import median, spectrum


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectrum_is_that_of_scipy(dtype: type) -> None:
    """The windows go through one transform here and through a loop there."""
    signal = np.random.default_rng(5).normal(0, 20, (3, 5, 2000)).cumsum(-1).astype(dtype)
    freqs, density = spectrum(signal, 200.0)
    expected_freqs, expected = welch(signal.astype(np.float64), 200.0, nperseg=400)
    np.testing.assert_array_equal(freqs, expected_freqs)
    assert density.dtype == dtype
    np.testing.assert_allclose(density, expected, rtol=1e-5 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("count", [1, 2, 7, 10])
def test_median_is_that_of_numpy(count: int) -> None:
    values = np.random.default_rng(3).normal(size=(4, 5, count)).astype(np.float32)
    values[1, 2, 0] = np.nan
    expected = np.median(values, axis=-1)
    assert median(values).dtype == expected.dtype
    np.testing.assert_array_equal(median(values), expected)


@pytest.mark.parametrize(("n_times", "sfreq"), [(2001, 201.0), (1280, 128.0), (150, 100.0)])
def test_spectrum_of_odd_and_short_windows_is_that_of_scipy(n_times: int, sfreq: float) -> None:
    signal = np.random.default_rng(6).normal(0, 20, (2, n_times))
    freqs, density = spectrum(signal, sfreq)
    expected_freqs, expected = welch(signal, sfreq, nperseg=min(round(2 * sfreq), n_times))
    np.testing.assert_allclose(freqs, expected_freqs)
    np.testing.assert_allclose(density, expected, rtol=1e-9)
