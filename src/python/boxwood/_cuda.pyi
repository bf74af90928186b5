from boxwood.typing import DoubleArray, FloatArray

__version__: str
cuda_version: int

def device_names() -> list[str]: ...
def ctf(rows: DoubleArray, frequencies: FloatArray, mode: int, device: int) -> FloatArray: ...
