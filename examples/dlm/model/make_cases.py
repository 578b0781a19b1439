# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Writes what test_models.cpp checks: for small models of each architecture, with weights that a formula gives, the
logits of the package `transformers`, and the canvases of the published samplers.

    make_cases.py FOLDER        those of cases/; needs torch and transformers

The samplers are written down here as the models' repositories have them (LLaDA's generate.py, Dream's
generation_utils.py, SDAR's generate.py, Fast-dLLM v2's modeling.py), at temperature 0, but never fill in the mask
token, which random weights would like to. Logits and weights are rounded for the files alone.
"""

import json
import math
import pathlib
import sys

import numpy
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

VOCABULARY = 96
MASK = 95
LENGTH = 22


def weights(name, shape):
    """Numbers that look random, and that test_models.cpp makes too: bfloat16, around 1 for gains."""
    hashed = 2166136261
    for byte in name.encode():
        hashed = (hashed ^ byte) * 16777619 % 2**32
    count = math.prod(shape)
    x = (numpy.arange(count, dtype=numpy.uint64) * 0x9E3779B9 + hashed) % 2**32
    for multiplier in (0x7FEB352D, 0x846CA68B):
        x = (x ^ (x >> 16)) * multiplier % 2**32
    uniform = (x ^ (x >> 16)).astype(numpy.float64) / 2**31 - 1
    if len(shape) == 1:
        values = 1 + 0.3 * uniform if "norm" in name or "ln_f" in name else 0.3 * uniform
    else:
        values = uniform * math.sqrt(3 / shape[1]) * (1 if "norm" in name else 1.5)
    return torch.tensor(values, dtype=torch.float64).to(torch.bfloat16).reshape(shape)


SHAPE = dict(
    vocab_size=VOCABULARY,
    hidden_size=48,
    intermediate_size=80,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=64,
    attn_implementation="eager",
)


def llada():
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, rms_norm_eps=1e-5, rope_theta=500000.0))
    config = dict(
        model_type="llada",
        block_type="llama",
        activation_type="silu",
        layer_norm_type="rms",
        rope=True,
        include_bias=False,
        vocab_size=VOCABULARY,
        embedding_size=VOCABULARY,
        d_model=48,
        n_layers=2,
        n_heads=6,
        n_kv_heads=2,
        mlp_hidden_size=80,
        max_sequence_length=64,
        rms_norm_eps=1e-5,
        rope_theta=500000.0,
        mask_token_id=MASK,
        weight_tying=False,
    )
    parts = {
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "q_proj",
        "self_attn.k_proj": "k_proj",
        "self_attn.v_proj": "v_proj",
        "self_attn.o_proj": "attn_out",
        "post_attention_layernorm": "ff_norm",
        "mlp.gate_proj": "ff_proj",
        "mlp.up_proj": "up_proj",
        "mlp.down_proj": "ff_out",
        "model.embed_tokens": "model.transformer.wte",
        "model.norm": "model.transformer.ln_f",
        "lm_head": "model.transformer.ff_out",
        "model.layers": "model.transformer.blocks",
    }

    def name_of(name):
        for ours, theirs in parts.items():
            name = name.replace(ours, theirs)
        return name

    return model, config, name_of, 0


def dream():
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=False))
    config = dict(
        SHAPE, model_type="Dream", rms_norm_eps=1e-6, rope_theta=1000000.0, mask_token_id=MASK, hidden_act="silu"
    )
    return model, config, lambda name: name, 0


def sdar():
    shape = dict(SHAPE, head_dim=16)
    model = Qwen3ForCausalLM(Qwen3Config(**shape, rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True))
    config = dict(
        shape, model_type="sdar", rms_norm_eps=1e-6, rope_parameters=dict(rope_theta=1000000.0, rope_type="default"),
        mask_token_id=MASK, block_size=4, tie_word_embeddings=True,
    )  # fmt: skip
    return model, config, lambda name: name, 4


def fast_dllm_v2():
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True))
    config = dict(
        SHAPE, model_type="Fast_dLLM_Qwen", rms_norm_eps=1e-6, rope_theta=1000000.0, mask_token_id=MASK, bd_size=8,
        tie_word_embeddings=True,
    )  # fmt: skip
    return model, config, lambda name: name, 8


@torch.no_grad()
def logits_of(model, tokens, block):
    """[length, vocabulary], in double precision but for the norms. Block 0: every position sees every other."""
    tokens = torch.tensor(tokens)
    place = torch.arange(len(tokens)) // block if block else torch.zeros(len(tokens))
    mask = torch.where(place[None, :] <= place[:, None], 0.0, -torch.inf).to(torch.float64)
    return model(tokens[None], attention_mask=mask[None, None]).logits[0]


def without_mask(logits):
    logits = logits.clone()
    logits[:, MASK] = -torch.inf
    return logits


def quotas(count, steps):
    return [count // steps + (i < count % steps) for i in range(steps)]


def llada_generate(model, prompt, length, steps, block):
    """Canvases after each step of generate(…, remasking="low_confidence")."""
    x = prompt + [MASK] * length
    canvases = []
    for begin in range(len(prompt), len(x), block):
        for quota in quotas(block, steps * block // length):
            logits = without_mask(logits_of(model, x, 0))
            best = logits.argmax(-1)
            confidence = logits.softmax(-1)[range(len(x)), best]
            masked = torch.tensor([x[i] == MASK and begin <= i < begin + block for i in range(len(x))])
            for i in torch.where(masked, confidence, -torch.inf).topk(quota).indices.tolist():
                x[i] = best[i].item()
            canvases.append(list(x))
    return canvases


def dream_generate(model, prompt, length, steps):
    """Canvases after each step of diffusion_generate(…, alg="entropy", temperature=0) that changes one."""
    x = prompt + [MASK] * length
    times = torch.linspace(1, 1e-3, steps + 1)
    canvases = []
    for step in range(steps):
        logits = logits_of(model, x, 0)
        logits = without_mask(torch.cat([logits[:1], logits[:-1]]))
        probability = logits.softmax(-1)
        entropy = (probability * torch.log(probability + 1e-10)).sum(-1)
        masked = torch.tensor([token == MASK for token in x])
        share = 1 - times[step + 1] / times[step] if step < steps - 1 else 1
        count = int(masked.sum() * share)
        for i in torch.where(masked, entropy, -torch.inf).topk(count).indices.tolist():
            x[i] = probability[i].argmax().item()
        if count:
            canvases.append(list(x))
    return canvases


def sdar_generate(model, prompt, length, block, threshold):
    """Canvases after each step of block_diffusion_generate(…, remasking_strategy="low_confidence_dynamic")."""
    x = prompt + [MASK] * length
    canvases = []
    for begin in range(len(prompt) // block * block, len(x), block):
        for quota in quotas(block, block):
            masked = torch.tensor([token == MASK for token in x[begin : begin + block]])
            if not masked.any():
                break
            logits = without_mask(logits_of(model, x[: begin + block], block))[begin:]
            confidence, best = logits.softmax(-1).max(-1)
            confidence = torch.where(masked, confidence, -torch.inf)
            sure = confidence > threshold
            chosen = sure.nonzero()[:, 0] if sure.sum() >= quota else confidence.topk(quota).indices
            for i in chosen.tolist():
                x[begin + i] = best[i].item()
            canvases.append(list(x))
    return canvases


def fast_dllm_v2_generate(model, prompt, length, block, part, threshold):
    """Canvases after each step of generate(…, small_block_size=part), without its block cache and its stop token. A
    block's first token is the likeliest of the last row of the pass that keeps the block before."""
    x = prompt + [MASK] * length
    canvases = []
    for begin in range(len(prompt) // block * block, len(x), block):
        end = begin + block
        if begin > 0 and x[begin] == MASK:
            x[begin] = without_mask(logits_of(model, x[:begin], block))[-1].argmax().item()
            canvases.append(list(x))
        for first in range(begin, end, part):
            while MASK in x[first : first + part]:
                logits = logits_of(model, x[:end], block)[begin:]
                logits = without_mask(torch.cat([logits[:1], logits[:-1]]))[first - begin : first - begin + part]
                confidence, best = logits.softmax(-1).max(-1)
                masked = torch.tensor([token == MASK for token in x[first : first + part]])
                confidence = torch.where(masked, confidence, -torch.inf)
                chosen = confidence > threshold
                chosen[confidence.argmax()] = True
                for i in (chosen & masked).nonzero()[:, 0].tolist():
                    x[first + i] = best[i].item()
                canvases.append(list(x))
    return canvases


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (llada, dream, sdar, fast_dllm_v2):
        model, config, name_of, block = make()
        config.pop("attn_implementation", None)
        tensors = []
        for name, parameter in model.named_parameters():
            shape = list(parameter.shape)
            tensors.append([name_of(name), shape])
            parameter.data = weights(name_of(name), shape).to(torch.float64)
        model = model.double().eval()
        draw = numpy.random.default_rng(1)
        tokens = draw.integers(0, VOCABULARY - 1, LENGTH).tolist()
        for i in (3, 9, 10, 17, 20):
            tokens[i] = MASK
        rows = [0, 1, 7, 8, 15, 20, 21]
        logits = logits_of(model, tokens, block)
        case = dict(
            config=config,
            tensors=tensors,
            tokens=tokens,
            rows=rows,
            logits=[[round(value, 6) for value in logits[row].tolist()] for row in rows],
        )
        prompt = tokens[:3] + tokens[4:7]
        if make is llada:
            case["canvases"] = llada_generate(model, prompt, 16, 8, 8)
        elif make is dream:
            case["canvases"] = dream_generate(model, prompt, 16, 10)
        elif make is sdar:
            case["canvases"] = sdar_generate(model, prompt, 14, 4, 0.15)
        elif make is fast_dllm_v2:
            case["canvases"] = fast_dllm_v2_generate(model, prompt, 26, 8, 4, 0.15)
        case["prompt"] = prompt
        text = json.dumps(case, separators=(",", ":")).replace("],[", "],\n[")
        (folder / f"{make.__name__}.json").write_text(text + "\n")


main()
