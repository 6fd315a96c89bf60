"""Shared fixtures: where the openly licensed recordings are, and a seed for everyone."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real recordings not found: expected them in {SHARED_DATA.name}/ beside the checkout")
    return SHARED_DATA
