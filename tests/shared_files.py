"""Real pictures and weights that lie beside the repository; tests that need them skip without."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("STROMA_SHARED", Path(__file__).resolve().parents[2] / "shared"))
needs_shared = pytest.mark.skipif(
    not (SHARED / "data").is_dir(),
    reason=f"needs the real pictures and weights in {SHARED} (or $STROMA_SHARED)",
)
