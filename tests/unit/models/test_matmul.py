"""Products in float32 by oneDNN are those of PyTorch, for every operand that PyTorch takes."""

from collections.abc import Iterator
from functools import cache

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


@pytest.mark.parametrize("alpha", [1, 2, 0.3])
def test_a_product_added_to_a_sum_and_its_gradients_are_right(replaced, monkeypatch, alpha):
    found: list[torch.Size] = []
    summed = matmul._linear_and_sum
    monkeypatch.setattr(
        matmul, "_linear_and_sum", lambda *given: found.append(given[0].shape) or summed(*given)
    )
    a, b = operands()
    total = torch.randn(ROWS, COLUMNS, generator=RANDOM)
    given = [one.requires_grad_() for one in (total, a, b)]
    exact = [one.detach().double().requires_grad_() for one in given]
    got = torch.addmm(*given, alpha=alpha)
    expected = exact[0] + alpha * (exact[1] @ exact[2])
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-4)
    got.square().sum().backward()
    expected.square().sum().backward()
    for one, right in zip(given, exact, strict=True):
        torch.testing.assert_close(one.grad.double(), right.grad, rtol=1e-5, atol=1e-2)
    assert found == [torch.Size([ROWS, INNER])]


def test_a_product_is_added_in_place_unless_kernels_are_replaced(monkeypatch):
    monkeypatch.setattr(matmul, "_replaced_kernels", cache(lambda: None))
    a, b = operands()
    for replaced in (False, True):
        if replaced:
            matmul._replaced_kernels()
        total = torch.ones(ROWS, COLUMNS)
        got = matmul.add_product(total, a, b, 0.5)
        assert (got is total) is not replaced
        torch.testing.assert_close(got, 1 + 0.5 * (a @ b), rtol=1e-5, atol=1e-4)


def test_the_gradient_of_a_thin_matrix_is_right_and_its_thin_operand_comes_first(replaced, monkeypatch):
    """As of LoRA's B: oneDNN takes twice as long where a thin matrix comes second."""
    found = calls(monkeypatch)
    rank = 16
    up = torch.randn(COLUMNS, rank, generator=RANDOM, requires_grad=True)
    inner = torch.randn(INNER, rank, generator=RANDOM)
    gradient = torch.randn(INNER, COLUMNS, generator=RANDOM)
    torch.nn.functional.linear(inner, up).backward(gradient)
    torch.testing.assert_close(up.grad.double(), gradient.double().t() @ inner.double(), rtol=1e-5, atol=1e-3)
    assert up.grad.is_contiguous() and found == [torch.Size([rank, INNER])]


def test_sums_in_parts_small_and_empty_operands_are_right(replaced, monkeypatch):
    found = calls(monkeypatch)
    a, b = operands()
    total = torch.randn(ROWS, COLUMNS, generator=RANDOM)
    expected = 0.5 * total.double() + 2 * (a.double() @ b.double())
    torch.testing.assert_close(
        torch.addmm(total, a, b, beta=0.5, alpha=2).double(), expected, rtol=1e-5, atol=1e-4
    )
    apart = torch.randn(COLUMNS, 3, generator=RANDOM)[:, 1]  # as a bias, oneDNN would read what lies between
    torch.testing.assert_close(
        torch.addmm(apart, a, b).double(), apart.double() + a.double() @ b.double(), rtol=1e-5, atol=1e-4
    )
    columns = torch.randn(ROWS, 1, generator=RANDOM)
    torch.testing.assert_close(
        torch.addmm(columns, a, b).double(), columns.double() + a.double() @ b.double(), rtol=1e-5, atol=1e-4
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
    thin = torch.randn(INNER, 60, generator=RANDOM)  # as of LoRA's A, just large enough
    total = torch.randn(300, COLUMNS, generator=RANDOM)
    for second in (b, thin):
        assert torch.equal(a[:rows] @ second, (a @ second)[:rows])
    summed = torch.addmm(total, a, b, alpha=0.3)
    assert torch.equal(torch.addmm(total[:rows], a[:rows], b, alpha=0.3), summed[:rows])


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
