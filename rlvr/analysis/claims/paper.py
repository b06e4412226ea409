"""The effects that the paper reports, with bounds for the uncertainty of its numbers.

The paper gives one number per method, without any standard error: the mean over six benchmarks of the share
of correct samples, n problems x k samples each, of one training run.

* Sampling: k independent samples of a problem that is solved with chance p_i vary by p_i (1 - p_i) / k. Over
  the problems of a benchmark the mean of this is at most p (1 - p) / k, p the accuracy on it (Jensen), so

      SE^2 <= 1 / B^2 * sum over B benchmarks of p (1 - p) / (n k),

  with the overall accuracy for those of the benchmarks, which are not known. The problems are the same for
  all methods and for a new run, so that they add nothing.
* One training seed: another seed would have given another number. How different is not in the paper; it is
  taken from the training seeds of the study that answers the claim, where it has several.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rlvr.config.claims import OVERALL, Claim, Claims


@dataclass(frozen=True)
class PaperNumber:
    """An accuracy that the paper reports, a fraction; ``sampling_se``: the run sampled again."""

    key: str
    value: float
    sampling_se: float


@dataclass(frozen=True)
class PaperEffect:
    """A difference that the paper reports, and the two numbers that it is of."""

    method: PaperNumber
    baseline: PaperNumber
    n_problems: int
    n_samples: int
    model: str

    @property
    def difference(self) -> float:
        """The difference, a fraction."""
        return self.method.value - self.baseline.value

    @property
    def sampling_se(self) -> float:
        """Its SE if the two runs were sampled again."""
        return math.hypot(self.method.sampling_se, self.baseline.sampling_se)

    def se(self, one_seed: float) -> float:
        """Return its SE with that of one training seed per side."""
        return math.hypot(self.sampling_se, one_seed)


def paper_effect(claim: Claim, claims: Claims) -> PaperEffect | None:
    """Return the difference that the paper reports for a claim, or None where its numbers are not known."""
    if claim.paper is None or claim.contrast is None:
        return None
    benchmark = claim.contrast.benchmark
    sizes = list(claims.sizes.values()) if benchmark == OVERALL else [claims.sizes[benchmark]]

    def number(key: str) -> PaperNumber:
        value = claims.numbers[key, benchmark]
        return PaperNumber(key, value, math.sqrt(sampling_variance(value, sizes)))

    return PaperEffect(
        method=number(claim.paper.method),
        baseline=number(claim.paper.baseline),
        n_problems=sum(problems for problems, _ in sizes),
        n_samples=2 * sum(problems * samples for problems, samples in sizes),
        model=claims.models[claim.paper.method],
    )


def sampling_variance(accuracy: float, sizes: Iterable[tuple[int, int]]) -> float:
    """Return the largest variance of a macro mean over benchmarks through the sampling of completions.

    Args:
        accuracy: the mean, a fraction.
        sizes: problems and samples per problem of each benchmark.
    """
    terms = [accuracy * (1 - accuracy) / (problems * samples) for problems, samples in sizes]
    return sum(terms) / len(terms) ** 2
