"""Runs every check against the server that the environment names, and prints one JSON row a line."""

import importlib
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from kit import CHECKS, STAGES, Kit

AT_ONCE = 4
ROOMS = ["upload", "blocks", "append", "page", "download", "properties", "listing", "conditions", "leases", "copy", "batch", "containers", "sas", "query", "snapshots", "tags", "versions", "softdelete", "tiers", "immutability", "structured", "entra", "service"]

printing = threading.Lock()


def run(name, work):
    if work.stage not in STAGES:
        report({"check": name, "outcome": "skip", "detail": "its account cannot be made on a given endpoint", "ms": 0})
        return
    kit = Kit(**STAGES[work.stage])
    started = time.perf_counter()
    row = {"check": name, "outcome": "pass"}
    try:
        detail = work(kit)
        if isinstance(detail, str):
            row["detail"] = detail
    except Exception as error:  # Whatever a check throws is that check's failure, not the run's.
        row["outcome"] = "fail"
        row["detail"] = f"{type(error).__name__}: {str(error)[:400]} [{kit.trace()}]"
    finally:
        row["ms"] = (time.perf_counter() - started) * 1000
        kit.close()
    report(row)


def report(row):
    with printing:
        print(json.dumps(row), flush=True)


def main():
    for room in ROOMS:
        importlib.import_module(f"rooms.{room}")
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = {name: work for name, work in CHECKS.items() if only in name}
    alone = {name: work for name, work in chosen.items() if name.startswith("service:") or ": alone: " in name}
    waiting = {name: work for name, work in chosen.items() if getattr(work, "slow", False)}
    rest = {name: work for name, work in chosen.items() if name not in alone and name not in waiting}
    # What waits for a real lease to run out goes on beside everything else; the service's shared state comes last.
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(max(1, len(waiting))) as beside:
        jobs = [beside.submit(run, *item) for item in waiting.items()]
        jobs += [pool.submit(run, *item) for item in rest.items()]
        for job in jobs:
            job.result()
    for item in alone.items():
        run(*item)


main()
