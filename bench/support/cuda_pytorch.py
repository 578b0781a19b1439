# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's attention on the GPU, on the inputs of a case of ours. Needs PyTorch with CUDA."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch._functorch.config
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

Attention = Callable[..., torch.Tensor]  # query, key, value
Call = Callable[[int], Sequence[torch.Tensor]]  # on one of the copies of the inputs; what it results in
CALLS = 16  # enqueued at once, so that the GPU never waits for the host


def mask_function(mask: str, visible: torch.Tensor) -> Callable[..., torch.Tensor]:
    """The mask as a function of batch, head and positions."""
    document = visible.int().argmax(dim=1)  # the first key that a query sees tells its document
    half = len(visible) // 2

    def block_diffusion(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        noised_q, noised_k = q < half, k < half
        block_q = torch.where(noised_q, q, q - half) // 32
        block_k = torch.where(noised_k, k, k - half) // 32
        return (
            (noised_q & noised_k & (block_q == block_k))
            | (noised_q & ~noised_k & (block_k < block_q))
            | (~noised_q & ~noised_k & (block_k <= block_q))
        )

    return {
        "bidirectional": lambda batch, head, q, k: (q >= 0) & (k >= 0),
        "causal": lambda batch, head, q, k: k <= q,
        "block_32": lambda batch, head, q, k: k // 32 <= q // 32,
        "document_16": lambda batch, head, q, k: document[q] == document[k],
        "block_diffusion_32": lambda batch, head, q, k: block_diffusion(q, k),
        "sliding_window_256": lambda batch, head, q, k: (q - k <= 256) & (k - q <= 256),
        "extra_sink": lambda batch, head, q, k: (q > 0) | (k == 0),
    }[mask]


class Inputs:
    """What a case of ours dumped into a folder, as [batch, heads, length, head_dim]."""

    def __init__(self, folder: Path, direction: str, mask: str, batch: int, heads: int, length: int) -> None:
        def tensor(name: str) -> torch.Tensor:
            dense = torch.frombuffer(bytearray((folder / f"{name}.bf16").read_bytes()), dtype=torch.bfloat16)
            return dense.cuda().reshape(batch, length, heads, -1).transpose(1, 2).contiguous()

        visible = torch.frombuffer(bytearray((folder / "visible.u8").read_bytes()), dtype=torch.uint8)
        visible = visible.cuda().reshape(length, length).bool()
        places = torch.arange(length, device="cuda")
        self.mask = mask
        self.length = length
        self.sees = mask_function(mask, visible)
        if not torch.equal(visible, self.sees(0, 0, places[:, None], places[None, :])):
            raise SystemExit(f"{mask} is not the same mask in PyTorch")
        inputs = [tensor(name) for name in ("query", "key", "value")]
        self.copies = [[each.clone() for each in inputs] for _ in range(3)]
        results = {"forward": ["output"], "backward": ["d_query", "d_key", "d_value"]}[direction]
        self.ours = [tensor(name) for name in results]
        self.d_outputs = [tensor("d_output") for _ in self.copies] if direction == "backward" else []
        self.flushed = torch.empty(1 << 30, dtype=torch.int8, device="cuda")

    def difference(self, call: Call) -> float:
        """The largest between a row of ours and PyTorch's, relative to the row, or to an average one if that is larger:
        gradients can be 0."""

        def of(ours: torch.Tensor, theirs: torch.Tensor) -> float:
            sizes = theirs.float().norm(dim=-1)
            least = sizes.mean() if self.d_outputs else sizes.min()
            return float(((ours.float() - theirs.float()).norm(dim=-1) / sizes.clamp(min=least)).max())

        return max(of(ours, theirs) for ours, theirs in zip(self.ours, call(0), strict=True))

    def milliseconds(self, call: Call, at_least: float) -> float:
        """Of one call, on average over calls that take this many seconds together."""
        self.burst(call)  # wakes up the clocks
        times: list[float] = []
        while sum(times) < 1000.0 * at_least:
            times += self.burst(call)
        return sum(times) / len(times)

    def burst(self, call: Call) -> list[float]:
        def event() -> torch.cuda.Event:
            return torch.cuda.Event(enable_timing=True)

        events = [(event(), event()) for _ in range(CALLS)]
        for turn, (begin, end) in enumerate(events):
            self.flushed.zero_()
            begin.record()
            call(turn % len(self.copies))
            end.record()
        torch.cuda.synchronize()
        return [begin.elapsed_time(end) for begin, end in events]


def forward(inputs: Inputs, attend: Attention) -> Call:
    return lambda copy: [attend(*inputs.copies[copy])]


def backward(inputs: Inputs, attend: Attention) -> Call:
    """The backward pass alone: the outputs of all copies are computed here."""
    torch._functorch.config.donated_buffer = False  # or what is compiled runs backward once for each output
    leaves = [[each.detach().requires_grad_() for each in copy] for copy in inputs.copies]
    outputs = [attend(*copy) for copy in leaves]
    return lambda copy: torch.autograd.grad(outputs[copy], leaves[copy], inputs.d_outputs[copy], retain_graph=True)


def sdpa(backend: SDPBackend, inputs: Inputs) -> Attention:
    """One backend of scaled_dot_product_attention, which knows bidirectional and causal by themselves."""
    causal = {"bidirectional": False, "causal": True}[inputs.mask]

    def attend(*tensors: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(*tensors, is_causal=causal)

    return attend


def flex(inputs: Inputs) -> Attention:
    """Compiled FlexAttention; without a mask, it is given none."""
    torch.compiler.reset()  # or it soon finds that it has compiled too many masks
    block_mask = None
    if inputs.mask != "bidirectional":
        block_mask = create_block_mask(inputs.sees, None, None, inputs.length, inputs.length, device="cuda")
    compiled = torch.compile(flex_attention, dynamic=False, fullgraph=True)
    return lambda *tensors: compiled(*tensors, block_mask=block_mask)


ATTENTION: dict[str, Callable[[Inputs], Attention]] = {
    "flash": partial(sdpa, SDPBackend.FLASH_ATTENTION),
    "cudnn": partial(sdpa, SDPBackend.CUDNN_ATTENTION),
    "flex": flex,
}
CALL: dict[str, Callable[[Inputs, Attention], Call]] = {"forward": forward, "backward": backward}
