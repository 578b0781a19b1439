# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's attention on the inputs of a case of ours. Needs PyTorch and NumPy."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

Attention = Callable[..., torch.Tensor]  # query, key, value


def sdpa(mask: str, visible: torch.Tensor) -> Attention:
    """scaled_dot_product_attention, which knows bidirectional and causal by themselves."""
    causal = mask == "causal"
    if not torch.equal(visible, torch.ones_like(visible).tril() if causal else torch.ones_like(visible)):
        raise SystemExit(f"{mask} is not the same mask in PyTorch")
    return lambda *inputs: torch.nn.functional.scaled_dot_product_attention(*inputs, is_causal=causal)


def flex(mask: str, visible: torch.Tensor) -> Attention:
    """Compiled FlexAttention, with the mask as a function of positions."""
    document = visible.int().argmax(dim=1)  # the first key that a query sees tells its document
    sees = {
        "block_32": lambda batch, head, q, k: k // 32 <= q // 32,
        "document_16": lambda batch, head, q, k: document[q] == document[k],
    }[mask]
    places = torch.arange(len(visible))
    if not torch.equal(visible, sees(0, 0, places[:, None], places[None, :])):
        raise SystemExit(f"{mask} is not the same mask in FlexAttention")
    block_mask = create_block_mask(sees, None, None, len(visible), len(visible), device="cpu")
    compiled = torch.compile(flex_attention, dynamic=False)
    return lambda *inputs: compiled(*inputs, block_mask=block_mask)


class Peer:
    """What a case of ours does, done by `attention`: sdpa or flex. folder: what the case dumped."""

    def __init__(
        self,
        attention: Callable[[str, torch.Tensor], Attention],
        direction: str,
        mask: str,
        length: int,
        heads: int,
        folder: Path,
    ) -> None:
        def tensor(name: str) -> torch.Tensor:  # [1, heads, length, head_dim]
            dense = torch.from_numpy(numpy.fromfile(folder / f"{name}.f32", numpy.float32))
            return dense.reshape(1, length, heads, -1).transpose(1, 2).contiguous()

        backward = direction == "backward"
        inputs = [tensor(name).requires_grad_(backward) for name in ("query", "key", "value")]
        visible = torch.from_numpy(numpy.fromfile(folder / "visible.u8", numpy.uint8).reshape(length, length)).bool()
        attend = attention(mask, visible)
        self.call: Callable[[], tuple[torch.Tensor, ...]]
        if backward:
            output, d_output = attend(*inputs), tensor("d_output")
            self.call = lambda: torch.autograd.grad(output, inputs, d_output, retain_graph=True)
            self.ours = [tensor(name) for name in ("d_query", "d_key", "d_value")]
        else:
            self.call = lambda: (attend(*inputs),)
            self.ours = [tensor("output")]

    def difference(self) -> float:
        """The largest between our outputs, or gradients, and PyTorch's."""
        return max(float((ours - theirs).abs().max()) for ours, theirs in zip(self.ours, self.call(), strict=True))

    def milliseconds(self, at_least: float) -> float:
        """Of one call, on average over calls that take this many seconds together."""
        calls, passed, begin = 0, 0.0, time.perf_counter()
        while passed < at_least:
            self.call()
            calls += 1
            passed = time.perf_counter() - begin
        return 1000.0 * passed / calls
