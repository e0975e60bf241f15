import os
from collections.abc import Sequence
from enum import Enum
from typing import Any, Literal, Optional, TypedDict, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

Format = Literal["rgb", "rgba", "bgr", "grey"]
Taps = Union[Sequence[tuple[float, float]], NDArray[Any]]

class Status(Enum):
    OK = 0
    INVALID_ARGUMENT = 1
    BAD_WEIGHTS = 2
    NO_DEVICE = 3
    UNSUPPORTED = 4
    OUT_OF_MEMORY = 5
    INTERNAL = 6

class Error(RuntimeError):
    status: Status

class Timings(TypedDict):
    prepare: float
    infer: float
    finish: float

class Session:
    def segment(self, image: ArrayLike, taps: Taps, threshold: float = 0.5, format: Optional[Format] = None,
                out: Optional[NDArray[np.uint8]] = None) -> NDArray[np.uint8]: ...
    def probability(self, image: ArrayLike, taps: Taps, format: Optional[Format] = None,
                    out: Optional[NDArray[np.float32]] = None) -> NDArray[np.float32]: ...
    def segment_batch(self, images: Sequence[ArrayLike], taps: Sequence[Taps], threshold: float = 0.5,
                      format: Optional[Format] = None) -> list[NDArray[np.uint8]]: ...
    def enqueue(self, images: Sequence[Any], taps: Sequence[Taps], masks: Sequence[Any] = ..., probabilities: Sequence[Any] = ...,
                stream: int = 0, threshold: float = 0.5, bgr: bool = False) -> None: ...
    def warm_up(self, width: int, height: int, batch: int = 1) -> None: ...
    @property
    def timings(self) -> Timings: ...
    @property
    def memory_bytes(self) -> int: ...

class Model:
    def __init__(self, path: Optional[Union[str, os.PathLike[str]]] = None, device: str = "auto", precision: str = "auto",
                 threads: int = 0) -> None: ...
    def session(self, size: Optional[tuple[int, int]] = None, native_size: bool = False, max_batch: int = 1,
                max_size: Optional[tuple[int, int]] = None, device_photos_only: bool = False,
                zoom_in: bool = False, refine: bool = False) -> Session: ...
    @property
    def variant(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def uses_taps(self) -> bool: ...
    @property
    def threads(self) -> int: ...
    @property
    def parameters(self) -> int: ...

def version() -> str: ...
def build_info() -> str: ...
def shipped_weights() -> str: ...
def cut_out(image: ArrayLike, probability: NDArray[np.float32], format: Optional[Format] = None,
            threads: int = 0) -> NDArray[np.uint8]: ...
def blur_background(image: ArrayLike, probability: NDArray[np.float32], radius: float, format: Optional[Format] = None,
                    threads: int = 0) -> NDArray[np.uint8]: ...
def overlay(image: ArrayLike, probability: NDArray[np.float32], taps: Taps = ..., threshold: float = 0.5,
            format: Optional[Format] = None, threads: int = 0) -> NDArray[np.uint8]: ...

__version__: str
