"""The catalogue of devices: what plans compute time and memory with."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from rlvr.config.choices import DType
from rlvr.config.values import Name, Settings


class Device(Settings):
    """A GPU, or a core of a CPU."""

    kind: Literal["gpu", "cpu"]
    """A `cpu` is one core; its memory is the machine's."""
    memory_gib: PositiveFloat | None = None
    """Memory of the device in GiB; null for a CPU."""
    bandwidth_gb_per_second: PositiveFloat
    """Memory bandwidth, 1e9 bytes per second."""
    tflops: Annotated[dict[DType, PositiveFloat], Field(min_length=1)]
    """Rate of dense matrix products by precision, 1e12 floating-point operations per second."""
    source: str
    """Where the numbers are from."""

    @model_validator(mode="after")
    def _is_complete(self) -> "Device":
        if self.kind == "gpu" and self.memory_gib is None:
            raise ValueError("memory_gib: a gpu needs it")
        if missing := {"float32", "bfloat16", "float16"} - set(self.tflops):
            raise ValueError(f"tflops: {sorted(missing)[0]} is missing")
        return self


class DeviceCatalogue(Settings):
    """`config/devices.yaml`: every device a study may be planned for."""

    devices: dict[Name, Device]
    """Name -> what it can do."""
