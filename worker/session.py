"""ONNX Runtime on the CPU, set up alike for every network: thread counts are a session's own, and nothing spins."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

_NEXT_POWER_OF_TWO = 0  # ONNX Runtime's ArenaExtendStrategy


def options(threads: int) -> SessionOptions:
    """Options of a session that uses ``threads`` CPU threads in one call. Raises ``ValueError`` for less than one."""
    import onnxruntime

    if threads < 1:
        raise ValueError("an engine needs at least one thread")
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    made.log_severity_level = 3
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return made


def line_session(weights: Path, threads: int = 1) -> InferenceSession:
    """A session for line crops; all of them share one arena, as they take turns and their inputs are bounded alike."""
    import onnxruntime

    _share_an_arena()
    made = options(threads)
    made.add_session_config_entry("session.use_env_allocators", "1")
    # A memory pattern is kept for every shape, and widths make many. The arena stays: inputs are bounded, so it stops
    # growing after the widest batch, and without it a third of the time goes into mapping pages.
    made.enable_mem_pattern = False
    return onnxruntime.InferenceSession(str(weights), made, providers=["CPUExecutionProvider"])


@cache
def _share_an_arena() -> None:
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    sizes = {"max_mem": 0, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    arena = onnxruntime.OrtArenaCfg(sizes | {"arena_extend_strategy": _NEXT_POWER_OF_TWO})
    onnxruntime.create_and_register_allocator(memory, arena)
