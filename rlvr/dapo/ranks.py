"""The processes that train one run together, by `torch.distributed`: its ranks.

Every rank runs the same program. What differs is which rows it computes: of the completions to sample, of the
batch to train on, of the log-probabilities to store. Results are gathered in the order of the rows, so that
every rank decides the same from the same numbers, and gradients are summed, so that every rank does the same
optimizer step. Only rank 0 holds the run's lock and writes files. One process is the rank 0 of one.

Ranks are started by :mod:`rlvr.dapo.launch` or by `torchrun`; both say in the environment who is who.
"""

import logging
import os
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from rlvr.dapo.launch import follow_launcher
from rlvr.errors import TryAgain, UserError
from rlvr.models.sharding import is_sharded
from rlvr.rollout.fingerprint import fingerprint
from rlvr.stopping import StopRequest

LONGEST_WAIT = timedelta(days=1)
"""For another rank: its completions may be much longer. One that has died is noticed at once."""
PEER_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe", re.IGNORECASE)
"""What PyTorch's errors say when another rank has ended."""

T = TypeVar("T")


class RanksDiffer(UserError):
    """The ranks do not train the same policy: a fault of their machines, not of the run."""


class Ranks:
    """A run in one process, which does everything itself."""

    rank, size = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this rank holds the lock and writes files."""
        return self.rank == 0

    def share(self, sizes: Sequence[int]) -> slice:
        """Return the rows of this rank: consecutive ones, with about as much work on every rank.

        Args:
            sizes: work of each row, such as its tokens.
        """
        total, before = sum(sizes), 0
        owners = []
        for size in sizes:
            owners.append(self.size * (2 * before + size) // (2 * total) if total else 0)
            before += size
        start = sum(owner < self.rank for owner in owners)
        return slice(start, start + owners.count(self.rank))

    def gathered(self, items: list[T]) -> list[T]:
        """Return the items of all ranks, rank by rank; tensors come to the CPU where there are several."""
        return items

    def largest(self, value: float) -> float:
        """Return the largest value of all ranks; NaN if one is."""
        return float(torch.tensor(self.gathered([value]), dtype=torch.float64).max())

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their sums over ranks; those of sharded parameters are summed already."""

    def require_same(self, value: object, what: str) -> None:
        """Check that a value is the same on every rank.

        Raises:
            RanksDiffer: it is not.
        """
        found = self.gathered([value])
        if any(other != found[0] for other in found):
            raise RanksDiffer(
                f"the ranks differ in {what} ({', '.join(map(str, found))}); start all of them with the same "
                "code, packages and devices, or train on one device"
            )

    def require_same_weights(self, policy: nn.Module, steps: int) -> None:
        """Check that the trained weights that every rank holds whole are the same, bit by bit.

        Raises:
            RanksDiffer: they are not.
        """

    def wait(self) -> None:
        """Wait until every rank is here."""

    @property
    def seed_parts(self) -> tuple[int, ...]:
        """What is added to the seed of noise in training: rows of different ranks have noise of their own."""
        return (self.rank,) if self.rank else ()


ONE_RANK = Ranks()


class SeveralRanks(Ranks):
    """One of several processes; all of them must call the same methods in the same order."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def gathered(self, items: list[T]) -> list[T]:
        """Return the items of all ranks, rank by rank; their tensors come to the CPU."""
        lists: list[list[T]] = [[] for _ in range(self.size)]
        dist.all_gather_object(lists, tree_map_only(Tensor, lambda tensor: tensor.detach().cpu(), items))
        return [item for part in lists for item in part]

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their sums over ranks; a rank without one of them adds zeros."""
        whole = [parameter for parameter in parameters if not is_sharded(parameter)]
        present = torch.tensor([parameter.grad is not None for parameter in whole], dtype=torch.uint8)
        dist.all_reduce(present, dist.ReduceOp.MAX)
        for parameter, somewhere in zip(whole, present.tolist(), strict=True):
            if somewhere:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)

    def require_same_weights(self, policy: nn.Module, steps: int) -> None:
        """Check that the trained weights that every rank holds whole are the same, bit by bit."""
        prints = [
            fingerprint(parameter)
            for parameter in policy.parameters()
            if parameter.requires_grad and not is_sharded(parameter)
        ]
        self.require_same(hash(tuple(prints)), f"the fingerprint of the weights after {steps} steps")

    def wait(self) -> None:
        """Wait until every rank is here."""
        self.gathered([None])


@contextmanager
def joined_ranks(stop: StopRequest) -> Iterator[Ranks]:
    """Yield the ranks that train together, as the environment says (`RANK`, `WORLD_SIZE`, ...).

    Ranks other than 0 log errors only.

    Raises:
        TryAgain: another rank has ended before the end of the run.
        UserError: there are more ranks on this machine than devices.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ONE_RANK
        return
    follow_launcher(stop)
    _choose_device()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=LONGEST_WAIT)
    ranks = SeveralRanks()
    logger = logging.getLogger("rlvr")
    before = logger.level
    if ranks.leads:
        logger.info("training in %d processes (%s)", ranks.size, backend)
    else:
        logger.setLevel(logging.ERROR)
    try:
        yield ranks
        dist.destroy_process_group()
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or PEER_LOST.search(str(error))):
            raise
        reason = str(error).splitlines()[0]
        raise TryAgain(
            f"rank {ranks.rank}: another rank has ended, or cannot be reached ({reason}); the same command "
            "continues from the last checkpoint"
        ) from None
    finally:
        logger.setLevel(before)


def _choose_device() -> None:
    """Give each rank of this machine a GPU of its own."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if not torch.cuda.is_available():
        return
    if local >= torch.cuda.device_count():
        raise UserError(
            f"rank {os.environ['RANK']} has no device: {torch.cuda.device_count()} are visible here; "
            "start as many ranks (--ranks, compute.gpus) as there are devices"
        )
    torch.cuda.set_device(local)


def named_devices(devices: Iterable[torch.device]) -> list[tuple[str, str]]:
    """Return devices with the name of their machine."""
    return [(socket.gethostname(), str(device)) for device in devices]
