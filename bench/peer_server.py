"""Runs in the peer's own environment: implicit's item-to-item recommender behind FastAPI."""

# It imports nothing of the project and is not imported by it: uvicorn starts it there.
import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI  # type: ignore[import-not-found]
from implicit._nearest_neighbours import NearestNeighboursScorer  # type: ignore[import-not-found]
from implicit.nearest_neighbours import ItemItemRecommender  # type: ignore[import-not-found]
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

_data = Path(os.environ["PEER_DATA"])
_ids = np.load(_data / "ids.npy")
_duration = np.load(_data / "duration.npy")
_watched = np.load(_data / "watched.npy", mmap_mode="r")
_size = _ids.size
_model = ItemItemRecommender(K=200)
_model.similarity = csr_matrix(
    (
        np.load(_data / "near_weight.npy").astype(np.float64),
        np.load(_data / "near.npy"),
        np.load(_data / "near_starts.npy").astype(np.int32),
    ),
    shape=(_size, _size),
)
# As `fit` ends: the neighbours are given here, not computed.
_model.scorer = NearestNeighboursScorer(_model.similarity)
app = FastAPI()


@app.get("/api/feed")
async def read_feed(viewer: int, k: int = 10) -> dict[str, Any]:
    """Answer a viewer's videos, those watched left out."""
    watched = np.unique(_watched[viewer])
    row = csr_matrix((np.ones(watched.size), watched, np.array([0, watched.size])), shape=(1, _size))
    found, scores = _model.recommend(0, row, N=k, filter_already_liked_items=True)
    return {
        "items": [
            {
                "place": place,
                "score": float(score),
                "video": {"video_id": f"{int(_ids[at]):016x}", "duration_ms": int(_duration[at])},
            }
            for place, (at, score) in enumerate(zip(found, scores, strict=True), 1)
        ]
    }
