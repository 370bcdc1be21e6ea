#!/usr/bin/env python3
"""Write tiny bases with the settings that the golden ones lack, an adapter on each, and what real transformers and peft
answer; and what transformers makes of penalties on the golden llama.

    pip install -r ../requirements.txt
    python make.py [NAME ...]

Everything is seeded. On another CPU the last digit in expected.json may move, everything else should not.
"""
import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

if os.environ.get("PYTHONHASHSEED") != "0":  # peft stores target_modules as a set
    os.environ.update(PYTHONHASHSEED="0", HF_HUB_OFFLINE="1")
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, LogitsProcessor, LogitsProcessorList

HERE = Path(__file__).parent
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MIN_GAP = 1e-3  # a greedy step closer than this would be luck, not proof: choose another seed
GREEDY = 24


@dataclass
class Base:
    name: str
    family: str
    config: dict
    prompt: int  # tokens
    dtype: torch.dtype = torch.float32
    rank: int = 3
    seed: int = 1
    targets: list = field(default_factory=lambda: LINEARS)


def llama3(factor, original):
    return {
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": original,
    }  # fmt: skip


def sizes(vocab, hidden, inner, layers, heads, kv, head_dim, context, **more):
    return {
        "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": head_dim, "max_position_embeddings": context,
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None, **more,
    }  # fmt: skip


BASES = [
    # rope to the last of 4,096 positions, all three branches of llama3's; heads wider than hidden/heads; untied
    Base("llama3-rope", "llama", sizes(97, 48, 80, 2, 4, 2, 16, 4096, rope_parameters=llama3(8.0, 512), tie_word_embeddings=False), 4096),
    # nothing divides by 4: hidden 39, inner 53, vocabulary 61, heads of 14 where hidden/heads is 13; one kv head; tied
    Base("linear-rope", "llama", sizes(
        61, 39, 53, 2, 3, 1, 14, 2048, rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}, tie_word_embeddings=True), 1500, rank=5),
    # biases on all seven linears; bfloat16; as many kv heads as heads; heads narrower than hidden/heads
    Base("biases", "llama", sizes(67, 50, 66, 2, 5, 5, 6, 512, attention_bias=True, mlp_bias=True, tie_word_embeddings=False), 300, torch.bfloat16),
    # a window of 100 in a context of 4,096; float16; tied, which Mistral is not by default; adapter on attention only
    Base("window", "mistral", sizes(73, 36, 58, 3, 2, 1, 22, 4096, sliding_window=100, tie_word_embeddings=True), 2500, torch.float16, targets=LINEARS[:4]),
    # biases on q, k, v; the window from the second layer on; a plain prompt shorter and longer than it
    Base("late-window", "qwen2", sizes(
        71, 42, 54, 3, 3, 3, 14, 4096, use_sliding_window=True, sliding_window=33, max_window_layers=1, tie_word_embeddings=False), 4000),
    # Qwen2 with a stretched context and a tied head
    Base("qwen2-linear", "qwen2", sizes(
        59, 44, 46, 2, 2, 2, 22, 1024, rope_parameters={"rope_type": "linear", "rope_theta": 1000000.0, "factor": 4.0}, tie_word_embeddings=True), 900, torch.bfloat16),
]  # fmt: skip


def fill(model, seed):
    """Weights large enough that every part of the arithmetic shows in the logits."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        p.data = (1 + 0.2 * noise if "norm" in name else noise * (0.6 if "embed" in name or "head" in name else 0.35)).to(p.dtype)


def positions(n):
    """Which positions' logits are kept: the first, some at the bounds of powers of two, the last."""
    return sorted({p for p in (0, 1, 31, 32, 33, 99, 100, 255, 511, 512, 1023, 2047, 3000) if p < n - 1} | {n - 1})


@torch.no_grad()
def answers(model, ids):
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
    kept = positions(len(ids))
    out = {"positions": kept, "logits": [[float(f"{v:.6g}") for v in logits[p].tolist()] for p in kept]}
    prompt = ids[: len(ids) - GREEDY]  # room for the answer within the context
    tokens, gaps = greedy(model, prompt)
    return out | {"greedy_from": len(prompt), "greedy": tokens}, gaps


@torch.no_grad()
def greedy(model, ids, processors=(), n=GREEDY):
    made, gaps = [], []
    for _ in range(n):
        sequence = torch.tensor([ids + made])
        scores = model(input_ids=sequence, use_cache=False).logits[:, -1].float()
        for processor in processors:
            scores = processor(sequence, scores)
        top = scores[0].topk(2)
        gaps.append(float(top.values[0] - top.values[1]))
        made.append(int(top.indices[0]))
    return made, min(gaps)


def make(base: Base):
    """Take the first seed whose greedy steps are clear."""
    while (gap := attempt(base)) < MIN_GAP:
        base.seed += 1
    print(f"{base.name}: seed {base.seed}, greedy steps at least {gap:.3f} apart")


def attempt(base: Base) -> float:
    folder = HERE / base.name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(base.seed)
    config = AutoConfig.for_model(base.family, **base.config)
    config.dtype = base.dtype
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(base.dtype).eval()
    fill(model, base.seed)
    model.save_pretrained(folder)
    tuned = get_peft_model(model, LoraConfig(r=base.rank, lora_alpha=2 * base.rank, target_modules=base.targets, task_type="CAUSAL_LM"))
    generator = torch.Generator().manual_seed(base.seed + 100)
    for name, p in tuned.named_parameters():
        if "lora_" in name:
            p.data = torch.randn(p.shape, generator=generator) * 0.15
    tuned.save_pretrained(folder / "adapter")
    for name in ("generation_config.json", "adapter/README.md"):
        (folder / name).unlink(missing_ok=True)

    def load():  # back from the files, computed in float32
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()

    ids = torch.randint(2, base.config["vocab_size"], (base.prompt,), generator=generator).tolist()
    plain, gap = answers(load(), ids)
    adapted, adapted_gap = answers(PeftModel.from_pretrained(load(), folder / "adapter").eval(), ids)
    (folder / "expected.json").write_text(json.dumps({"ids": ids, "base": plain, "adapter": adapted}, separators=(",", ":")) + "\n")
    return min(gap, adapted_gap)


class Answer(LogitsProcessor):
    """Presence and frequency penalty, which transformers does not have: OpenAI's definition, over the answer alone."""

    def __init__(self, prompt, presence, frequency):
        self.prompt, self.presence, self.frequency = prompt, presence, frequency

    def __call__(self, input_ids, scores):
        counts = torch.bincount(input_ids[0, self.prompt :], minlength=scores.shape[-1])
        return scores - self.frequency * counts - self.presence * (counts > 0)


def penalties():
    """Greedy answers of the golden llama under penalties, by transformers' own logits processors where it has them."""
    from transformers.generation.logits_process import (
        MinNewTokensLengthLogitsProcessor, RepetitionPenaltyLogitsProcessor, SequenceBiasLogitsProcessor)  # fmt: skip

    llama = HERE.parent / "llama"
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32, attn_implementation="eager").eval()
    ids = json.loads((llama / "expected.json").read_text())["runs"][0]["ids"]
    first, _ = greedy(model, ids, n=8)
    ends = json.loads((llama / "generation_config.json").read_text())["eos_token_id"]
    without, _ = greedy(model, ids, [MinNewTokensLengthLogitsProcessor(len(ids), 40, torch.tensor([first[2], *ends]))], 40)
    later = next(t for i, t in enumerate(without) if i >= 14 and t not in without[:i])  # ends the answer once it may
    runs = []
    for q in [
        {"repetition": 1.3}, {"repetition": 0.8}, {"presence": 1.5}, {"presence": -1.0, "frequency": 0.7}, {"frequency": 2.0},
        {"repetition": 1.2, "presence": 0.5, "frequency": 0.25}, {"min_tokens": 12, "stop": [first[2], later]},
        {"bias": {str(first[0]): -100.0, "7": 6.0}, "repetition": 1.5},
    ]:  # fmt: skip
        processors = LogitsProcessorList()
        if "bias" in q:
            processors.append(SequenceBiasLogitsProcessor({(int(i),): b for i, b in q["bias"].items()}))
        if "repetition" in q:
            processors.append(RepetitionPenaltyLogitsProcessor(q["repetition"]))
        if "presence" in q or "frequency" in q:
            processors.append(Answer(len(ids), q.get("presence", 0), q.get("frequency", 0)))
        if "min_tokens" in q:
            processors.append(MinNewTokensLengthLogitsProcessor(len(ids), q["min_tokens"], torch.tensor(q["stop"] + ends)))
        tokens, gap = greedy(model, ids, processors, 40)
        if "stop" in q:
            tokens = tokens[: next(i for i, t in enumerate(tokens) if t in q["stop"]) + 1]
        if gap < MIN_GAP:
            raise SystemExit(f"{q}: a greedy step is only {gap:.1g} clear")
        runs.append(q | {"greedy": tokens})
    (HERE / "penalties.json").write_text(json.dumps({"ids": ids, "runs": runs}, separators=(",", ":")) + "\n")
    print(f"penalties: {len(runs)} runs")


if __name__ == "__main__":
    torch.set_num_threads(2)
    wanted = sys.argv[1:] or [b.name for b in BASES] + ["penalties"]
    for b in BASES:
        if b.name in wanted:
            make(b)
    if "penalties" in wanted:
        penalties()
