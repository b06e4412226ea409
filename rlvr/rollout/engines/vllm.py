"""The engine for long completions and GPUs: vLLM in the trainer's own process, on the trainer's device.

Its weights are pushed, never read by vLLM: at the start those of the model folder, after every update the
whole policy again (`reload_weights`, the same in vLLM 0.32 and 0.33; what differs between the two is for
transfers between processes). What vLLM holds can be read back, whatever its layout. Every completion has a
seed of its own, its log-probabilities are those of the policy at the sampling temperature, and it must be
sampled by the weights of the last sync alone.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from rlvr.config.choices import DType
from rlvr.config.training import Sampling
from rlvr.errors import UserError
from rlvr.models.load import best_device, end_token_ids, load_on_meta
from rlvr.rollout.engines.base import Completion, Request, Tokens
from rlvr.rollout.engines.vllm_start import explained, import_vllm, start_llm
from rlvr.rollout.engines.vllm_weights import BaseWeights, HeldWeights, held_factors, repack_tied_head
from rlvr.rollout.fingerprint import fingerprint

Result = TypeVar("Result")

LEAST_TEMPERATURE = 0.01
"""vLLM samples at this temperature where a lower one is asked for."""


class VllmEngine:
    """Samples with vLLM, and receives merged weights or low-rank updates.

    Args:
        folder: prepared model folder.
        tokenizer: its tokenizer.
        dtype: precision in which the model computes.
        weight_dtype: precision to which weights are rounded.
        batch_size: most completions that are sampled at once.
        longest: tokens of the longest prompt and completion together.
        lora_rank: largest rank of the low-rank updates to come; 0 where weights are merged.

    Raises:
        UserError: vLLM is not installed, or cannot serve the model.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: PreTrainedTokenizerBase,
        dtype: DType,
        weight_dtype: DType,
        batch_size: int,
        longest: int,
        lora_rank: int = 0,
    ) -> None:
        self.vllm = import_vllm()
        model = load_on_meta(folder)
        self.tokenizer = tokenizer
        self.end_ids = end_token_ids(model, tokenizer)
        self.weight_dtype = cast(torch.dtype, getattr(torch, weight_dtype))
        self.base = BaseWeights(folder, [name for name, _ in model.named_parameters()], self.weight_dtype)
        self.device, self.longest, self.lora_rank = best_device(), longest, lora_rank
        with self._undisturbed():
            self.llm = start_llm(folder, model.config, self.device, dtype, batch_size, longest, lora_rank)
        self.syncs, self.asleep = 0, False
        self.adapter: Any = None
        self.ranks: dict[str, int] = {}
        self.held = HeldWeights(self.base.shapes)
        with explained(folder, model.config):
            self.load_weights([])
            self._check_base()
            self.score(Tokens(self.end_ids[:1], self.end_ids[:1]), 1.0)

    @property
    def devices(self) -> frozenset[torch.device]:
        """Device of the model."""
        return frozenset({self.device})

    @property
    def version(self) -> str:
        """Name of the weights that were sent last."""
        return f"policy-v{self.syncs}"

    # --- sampling -------------------------------------------------------------------------------

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, longest_prompt: int = 0
    ) -> list[Completion]:
        """Sample one completion per request, in order; with top-p below 1, log-probabilities are NaN.

        Nothing is padded, so that ``longest_prompt`` is not needed.

        Raises:
            UserError: vLLM would sample otherwise than it is told to, or did.
        """
        if 0 < sampling.temperature < LEAST_TEMPERATURE:
            raise UserError(
                f"sampling.temperature {sampling.temperature:g}: vLLM samples at {LEAST_TEMPERATURE} at "
                "least; set 0 (greedy), or engine: transformers"
            )
        started = time.perf_counter()
        prompts = [request.prompt_ids for request in requests]
        outputs = self._run(
            prompts,
            [
                self.vllm.SamplingParams(
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=sampling.max_new_tokens,
                    seed=request.seed,
                    stop_token_ids=self.end_ids,
                    logprobs=0,
                    detokenize=False,
                )
                for request in requests
            ],
            sampling.max_new_tokens,
        )
        seconds = (time.perf_counter() - started) / max(len(requests), 1)
        return [self._completion(output, sampling, seconds) for output in outputs]

    def score(self, tokens: Tokens, temperature: float) -> list[float]:
        """Return the log-probability of each completion token, through the same code that samples.

        Each token is that of a request of its own, so a stale prefix cache shows here as in a completion.
        """
        prompt, completion = list(tokens.prompt_ids), list(tokens.completion_ids)
        outputs = self._run(
            [[*prompt, *completion[:position]] for position in range(len(completion))],
            [
                self.vllm.SamplingParams(
                    temperature=temperature, max_tokens=1, seed=0, logprob_token_ids=[token], detokenize=False
                )
                for token in completion
            ],
            1,
        )
        return [output.logprobs[0][token].logprob for output, token in zip(outputs, completion, strict=True)]

    def _run(self, prompts: Sequence[Sequence[int]], params: list[Any], new_tokens: int) -> list[Any]:
        """Return vLLM's output for every prompt, sampled by the weights of the last sync."""
        if not prompts:
            return []
        length = max(len(prompt) for prompt in prompts) + new_tokens
        if length > self.longest:
            raise UserError(f"a prompt with its completion has {length} tokens, the engine {self.longest}")
        with self._undisturbed():
            outputs = self.llm.generate(
                [{"prompt_token_ids": list(prompt)} for prompt in prompts],
                params,
                use_tqdm=False,
                lora_request=self.adapter,
            )
        completions = [output.outputs[0] for output in outputs]
        for completion in completions:
            self._check_version(completion)
        return completions

    def _check_version(self, completion: Any) -> None:
        """Refuse a completion that other weights than those of the last sync had a part in."""
        versions = [span.version for span in completion.weight_versions or ()]
        if versions != [self.version]:
            raise UserError(
                f"a completion was sampled by the weights {versions or 'of no known version'}, not by those "
                f"of the last sync, {self.version!r}: the policy that samples is not the one that is trained"
            )

    def _completion(self, output: Any, sampling: Sampling, seconds: float) -> Completion:
        if output.finish_reason not in ("stop", "length"):
            raise UserError(f"vLLM ended a completion with {output.finish_reason!r}; see its log")
        tokens = list(output.token_ids)
        known = sampling.top_p == 1 or sampling.greedy
        return Completion(
            token_ids=tokens,
            logprobs=[
                step[token].logprob if known else float("nan")
                for step, token in zip(output.logprobs, tokens, strict=True)
            ],
            text=cast(str, self.tokenizer.decode(tokens, skip_special_tokens=True)),
            finish_reason=output.finish_reason,
            seconds=seconds,
        )

    # --- weights --------------------------------------------------------------------------------

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Serve the model of the folder with the named weights in place of its own.

        All weights are pushed, a decoder layer at a time: vLLM fuses several into one tensor, and would fill
        the rest of a tensor that it gets in part with garbage.

        Raises:
            UserError: the model has no weight of that name.
        """
        self._wake(["weights"])
        self.held.forget()
        with self._undisturbed():
            self.llm.collective_rpc(
                "reload_weights",
                kwargs={"weights_iterator": self.base.replaced(weights), "is_checkpoint_format": True},
            )
            if self.device.type == "cpu":
                self.llm.apply_model(repack_tied_head)
        self._wake(["kv_cache"])
        self.asleep = False
        self._start_version()

    def held_weight(self, name: str) -> Tensor:
        """Return a weight as it is served."""
        return self._apply(lambda model: self.held(model, name))

    def load_updates(self, updates: Iterable[tuple[str, tuple[Tensor, Tensor]]]) -> None:
        """Serve layers as W + B A, as an adapter of a new name; the previous one is unloaded.

        Raises:
            UserError: vLLM does not take such an adapter.
        """
        self._wake(None)
        self.asleep = False
        if self.adapter:
            self.llm.llm_engine.remove_lora(self.adapter.lora_int_id)
            self.adapter = None
        self._start_version()
        with tempfile.TemporaryDirectory() as folder:
            self.ranks = write_adapter(Path(folder), updates)
            adapter = self.vllm.lora.request.LoRARequest(self.version, self.syncs, folder)
            try:
                self.llm.llm_engine.add_lora(adapter)
            except Exception as error:  # of many kinds
                raise UserError(
                    f"vLLM cannot hot-load the adapter ({error}); use training.sync: merged"
                ) from None
        self.adapter = adapter

    def held_update(self, layer: str) -> tuple[Tensor, Tensor]:
        """Return A and B of a layer as they are served."""
        return self._apply(lambda model: held_factors(model, layer, self.ranks[layer]))

    def sleep(self) -> None:
        """Leave a GPU to the trainer until the next sync.

        Merged weights are forgotten, since they are pushed again (level 2); beside an adapter, the base is
        kept in main memory (level 1).
        """
        if self.device.type == "cuda":
            self.llm.sleep(level=1 if self.lora_rank else 2)
            self.asleep = True

    def _wake(self, tags: list[str] | None) -> None:
        if self.asleep:
            torch.cuda.empty_cache()
            self.llm.wake_up(tags=tags)

    def _start_version(self) -> None:
        """Forget what was computed with the previous weights, and name the present ones."""
        self.syncs += 1
        if not self.llm.reset_prefix_cache():
            raise UserError("vLLM keeps its prefix cache after a sync, so it would serve stale weights")
        self.llm.update_weight_version(self.version)

    def _check_base(self) -> None:
        """Compare every weight that vLLM holds at the start with the one of the folder.

        Raises:
            UserError: they differ.
        """
        for name, weight in self.base:
            if fingerprint(self.held_weight(name)) != fingerprint(weight):
                raise UserError(
                    f"vLLM does not hold the weight {name!r} that it was sent, so it cannot serve models of "
                    "this family after an update; use engine: transformers"
                )

    def _apply(self, function: Callable[[nn.Module], Result]) -> Result:
        return cast(Result, self.llm.apply_model(function)[0])

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Keep the trainer's random states and threads; on a CPU, compile nothing, which costs minutes."""
        states, set_threads = (random.getstate(), np.random.get_state()), torch.set_num_threads
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng())
            if self.device.type == "cpu":
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            try:
                yield
            finally:
                random.setstate(states[0])
                np.random.set_state(states[1])
                torch.set_num_threads = set_threads


def write_adapter(folder: Path, updates: Iterable[tuple[str, tuple[Tensor, Tensor]]]) -> dict[str, int]:
    """Write low-rank updates as a LoRA adapter of scale 1; return the rank of every layer."""
    tensors: dict[str, Tensor] = {}
    ranks: dict[str, int] = {}
    for layer, (down, up) in updates:
        tensors[f"base_model.model.{layer}.lora_A.weight"] = down.contiguous()
        tensors[f"base_model.model.{layer}.lora_B.weight"] = up.contiguous()
        ranks[layer] = down.shape[0]
    rank = max(ranks.values())
    settings = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": sorted({layer.rpartition(".")[2] for layer in ranks}),
        "bias": "none",
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return ranks
