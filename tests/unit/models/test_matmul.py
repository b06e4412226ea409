"""Products in float32 by oneDNN are those of PyTorch, for every operand that PyTorch takes."""

from collections.abc import Iterator

import pytest
import torch

from rlvr.models import matmul

RANDOM = torch.Generator().manual_seed(0)
ROWS, INNER, COLUMNS = 40, 300, 250  # of a second operand that is large enough


@pytest.fixture
def replaced() -> Iterator[None]:
    """The kernels, replaced for one test, whatever the CPU."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("PyTorch without oneDNN")
    library = matmul._replaced_kernels.__wrapped__()
    yield
    library._destroy()


def operands(rows: int = ROWS, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two matrices, the second transposed as a weight is."""
    shapes = ((rows, INNER), (COLUMNS, INNER))
    a, b = (torch.randn(shape, generator=RANDOM).to(dtype) for shape in shapes)
    return a, b.t()


def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Return a list that gets the shape of what oneDNN multiplies."""
    found: list[torch.Size] = []
    linear = matmul._linear
    monkeypatch.setattr(matmul, "_linear", lambda *given: found.append(given[0].shape) or linear(*given))
    return found


def test_a_product_and_its_gradients_are_right(replaced, monkeypatch):
    found = calls(monkeypatch)
    a, b = (one.requires_grad_() for one in operands())
    (a @ b).square().sum().backward()
    x, y = (one.detach().double().requires_grad_() for one in (a, b))
    (x @ y).square().sum().backward()
    for one, expected in ((a.grad, x.grad), (b.grad, y.grad)):
        torch.testing.assert_close(one.double(), expected, rtol=1e-5, atol=1e-3)
    assert torch.Size([ROWS, INNER]) in found


def test_a_layer_with_a_bias_is_right(replaced, monkeypatch):
    found = calls(monkeypatch)
    layer, x = torch.nn.Linear(INNER, COLUMNS), torch.randn(2, ROWS, INNER, generator=RANDOM)
    expected = x.double() @ layer.weight.double().t() + layer.bias.double()
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)
    assert found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_other_precisions_keep_their_kernel(monkeypatch, dtype):
    a, b = operands(dtype=dtype)
    bias = a[0, :COLUMNS]
    expected = a @ b, torch.addmm(bias, a, b)
    library = matmul._replaced_kernels.__wrapped__()
    try:
        found = calls(monkeypatch)
        assert torch.equal(a @ b, expected[0]) and torch.equal(torch.addmm(bias, a, b), expected[1])
    finally:
        library._destroy()
    assert not found


def test_scaled_sums_small_and_empty_operands_are_right(replaced, monkeypatch):
    found = calls(monkeypatch)
    a, b = operands()
    total = torch.randn(ROWS, COLUMNS, generator=RANDOM)
    expected = 0.5 * total.double() + 2 * (a.double() @ b.double())
    torch.testing.assert_close(
        torch.addmm(total, a, b, beta=0.5, alpha=2).double(), expected, rtol=1e-5, atol=1e-4
    )
    small = a[:, :7] @ b[:7]
    torch.testing.assert_close(small.double(), a[:, :7].double() @ b[:7].double(), rtol=1e-5, atol=1e-5)
    assert (a[:0] @ b).shape == (0, COLUMNS) and not (a[:, :0] @ b[:0]).any()
    assert not found


def test_a_part_of_a_matrix_keeps_its_kernel(replaced, monkeypatch):
    """As of VeRA's shared matrices: oneDNN takes minutes for what takes a second."""
    found = calls(monkeypatch)
    a, whole = operands()[0], torch.randn(COLUMNS, 2 * INNER, generator=RANDOM)
    part = whole[:, :INNER].t()
    torch.testing.assert_close((a @ part).double(), a.double() @ part.double(), rtol=1e-5, atol=1e-4)
    assert not found


def test_shapes_that_do_not_fit_are_refused_as_by_pytorch(replaced):
    a, b = operands()
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        a[:, 1:] @ b


@pytest.mark.parametrize("rows", [4, 5, 16, 17, 64, 299])
def test_a_row_does_not_depend_on_the_number_of_rows(replaced, rows):
    a, b = operands(300)
    assert torch.equal(a[:rows] @ b, (a @ b)[:rows])


def test_kernels_are_replaced_for_large_models_in_float32_on_cpus_that_gain(monkeypatch):
    asked = []
    monkeypatch.setattr(matmul, "_replaced_kernels", lambda: asked.append(1))
    monkeypatch.setattr(matmul, "LEAST_PARAMETERS", 100)
    large, small = torch.nn.Linear(10, 10), torch.nn.Linear(4, 4)
    half, elsewhere = torch.nn.Linear(10, 10, dtype=torch.bfloat16), torch.nn.Linear(10, 10, device="meta")
    cases = ((False, large, 0), (True, small, 0), (True, half, 0), (True, elsewhere, 0), (True, large, 1))
    for slow, model, expected in cases:
        monkeypatch.setattr(matmul, "mkl_is_slow", lambda slow=slow: slow)
        matmul.use_faster_matmul(model)
        assert len(asked) == expected
