"""Prints the options of the vLLM in this Python, a line each: its names, what its value is, and the choices it has.

usage: options.py >internal/local/container/options/VERSION.txt

The local platform's container judges SM_VLLM_ variables by these tables."""
import argparse

try:
    from vllm.utils.argparse_utils import FlexibleArgumentParser
except ImportError:  # 0.11.2
    from vllm.utils import FlexibleArgumentParser
try:
    from vllm.entrypoints.openai.cli_args import make_arg_parser
except ImportError:  # 0.32.0
    from vllm.entrypoints.launchers.cli_args import make_arg_parser

KINDS = {"int": "int", "float": "float", "human_readable_int": "readable", "human_readable_int_or_auto": "readable-or-auto", "loads": "loads"}


def kind(action):
    """What the value is. An optional one hides its type in a closure, and words its complaint otherwise."""
    if isinstance(action, argparse.BooleanOptionalAction):
        return "flag"
    if action.nargs == 0:
        return "switch"
    function, optional = action.type, ""
    if getattr(function, "__name__", "") == "_optional_type":
        optional = "optional-"
        function = next(c.cell_contents for c in function.__closure__ if callable(c.cell_contents))
    name = KINDS.get(getattr(function, "__name__", ""), "text")
    if action.choices is not None and name == "text":
        name = "choice"
    if action.choices is not None and name == "int":
        name = "int-choice"
    if name in ("text", "choice"):
        optional = ""
    return optional + name + {"+": "+", "?": "?"}.get(action.nargs, "")


def main():
    for action in make_arg_parser(FlexibleArgumentParser())._actions:
        if not action.option_strings or "--help" in action.option_strings:
            continue
        names = [n for n in action.option_strings if not n.startswith("--no-") or action.option_strings[0] == n]
        print("/".join(names), kind(action), *(c for c in action.choices or () if c is not None))


if __name__ == "__main__":
    main()
