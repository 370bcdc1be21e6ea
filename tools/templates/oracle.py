#!/usr/bin/env python3
"""Renders chat templates by Jinja, set up as transformers 5 does (utils/chat_template_utils.py).

stdin:  {"now": ISO time, "specials": {NAME: TOKEN}, "templates": {NAME: SOURCE},
         "conversations": [{"messages", "tools", "add_generation_prompt"}]}
stdout: {NAME: [{"text"} or {"error"}]}, an answer for each conversation.
"""
import json
import sys
from datetime import datetime

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """The statement that marks what is trained on; it renders its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def main():
    asked = json.load(sys.stdin)
    now = datetime.fromisoformat(asked["now"])
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = now.strftime

    def answer(source, conversation):
        try:
            text = environment.from_string(source).render(
                messages=conversation["messages"],
                tools=conversation.get("tools"),
                documents=None,
                add_generation_prompt=conversation["add_generation_prompt"],
                **asked["specials"],
            )
        except Exception as error:  # whatever a template does wrong
            return {"error": str(error)}
        return {"text": text}

    answers = {
        name: [answer(source, conversation) for conversation in asked["conversations"]]
        for name, source in asked["templates"].items()
    }
    json.dump(answers, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
