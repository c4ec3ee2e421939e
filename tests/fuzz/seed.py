#!/usr/bin/env python3
"""seed.py DIRECTORY: first inputs for the fuzz targets, made of tests/vectors, in DIRECTORY/fuzz_NAME/."""
import hashlib
import json
import pathlib
import sys

vectors = pathlib.Path(__file__).resolve().parent.parent / "vectors"


def rows(file):
    data = json.loads((vectors / file).read_text(encoding="utf-8"))
    return [bytes.fromhex(v["hex"]) for part in ("accepted", "unknown", "refused") for v in data.get(part, [])]


def put(target, inputs):
    folder = pathlib.Path(sys.argv[1]) / target
    folder.mkdir(parents=True, exist_ok=True)
    for raw in inputs:
        (folder / hashlib.sha1(raw).hexdigest()).write_bytes(raw)


frames = rows("frames.json")
put("fuzz_frame", frames)
put("fuzz_content", rows("contents.json"))
stream = [len(f).to_bytes(4, "big") + f for f in frames if f]
put("fuzz_frame_stream", [b"\x00" + s for s in stream] + [b"\x06" + b"".join(stream[i : i + 5]) for i in range(0, len(stream), 5)])
