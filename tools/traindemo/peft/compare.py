"""Shows that real transformers and peft give the demo's answers: the same files, the same token ids, the same log probabilities.

    python3 -m venv .tools/peft && .tools/peft/bin/pip install -r tools/traindemo/peft/requirements.txt
    go run ./tools/traindemo -scores .tools/peft/scores.json
    .tools/peft/bin/python tools/traindemo/peft/compare.py .tools/peft/scores.json

It prints a table in Markdown and exits with 1 when a log probability differs by more than LIMIT, a tokenizer gives other ids, or
a greedy token is another. Log probabilities are compared and not raw logits, because an API gives those; they are the logits less
their logarithmic sum. Both sides compute in float32 from the bfloat16 files.
"""

import argparse
import json
import pathlib
import sys

import peft
import torch
import transformers

LIMIT = 1e-3  # nats; float32 sums in another order differ by a tenth of it


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("scores", type=pathlib.Path, help="what go run ./tools/traindemo -scores wrote")
    parser.add_argument("--demo", type=pathlib.Path, default=pathlib.Path("internal/local/demo"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    cases = json.loads(options.scores.read_text())
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.demo / "base")

    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}\n")
    print("| model | places | log probabilities | largest difference, nats | greedy tokens equal |")
    print("|---|---|---|---|---|")
    good = True
    for name in dict.fromkeys(case["adapter"] for case in cases):
        model = load(options.demo, name)
        places = compared = answered = equal = 0
        worst = 0.0
        for case in (case for case in cases if case["adapter"] == name):
            good &= same_prompt(tokenizer, case)
            tokens = torch.tensor([case["tokens"]])
            with torch.no_grad():
                ours = torch.log_softmax(model(tokens).logits[0, :-1].float(), dim=-1)
            for place, top in enumerate(case["top"]):
                places += 1
                for alternative in top:
                    compared += 1
                    worst = max(worst, abs(ours[place, alternative["id"]].item() - alternative["logprob"]))
                if place + 1 >= case["prompt"]:
                    answered += 1
                    equal += ours[place].argmax().item() == case["tokens"][place + 1]
        good &= worst <= LIMIT and equal == answered
        print(f"| {name or 'base'} | {places} | {compared} | {worst:.1e} | {equal} of {answered} |")
    return 0 if good else 1


def load(demo: pathlib.Path, adapter: str) -> torch.nn.Module:
    """Reads the base, and the adapter with it when one is named, as anyone would."""
    model = transformers.AutoModelForCausalLM.from_pretrained(demo / "base", dtype=torch.float32)
    if adapter:
        model = peft.PeftModel.from_pretrained(model, demo / "adapters" / adapter)
    return model.float().eval()


def same_prompt(tokenizer, case) -> bool:
    """Says whether the official tokenizer gives the engine's ids for a prompt, and complains when not."""
    ids = tokenizer(case["text"], add_special_tokens=False)["input_ids"]
    if ids != case["tokens"][: case["prompt"]]:
        print(f"another tokenization of {case['text']!r}: {ids}, not {case['tokens'][:case['prompt']]}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
