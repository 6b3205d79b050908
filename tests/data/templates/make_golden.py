#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Renders templates and expressions with jinja2, set up as transformers does, and writes golden.json.

    pip install jinja2 && python3 make_golden.py > golden.json

The result is {contexts: {name: …}, cases: […]}. A case is {name, template, context: a name, output} or, where
jinja2 raises, {…, error: the exception's name}.
"""
import datetime
import glob
import json
import os
import sys
import time

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1753000000
os.environ["TZ"] = "UTC"
time.tzset()


class Generation(Extension):
    """{% generation %}: here it only passes its body on."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body", []), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW).strftime(form)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(case, contexts):
    context = {"tools": None, "documents": None, "add_generation_prompt": False, **contexts[case["context"]]}
    try:
        case["output"] = environment().from_string(case["template"]).render(**context)
    except Exception as error:
        case["error"] = type(error).__name__
    return case


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    import golden_cases

    contexts = {"snippets": golden_cases.SNIPPET_CONTEXT, **dict(golden_cases.CHATS)}
    cases = [{"name": name, "template": template, "context": "snippets"} for name, template in golden_cases.SNIPPETS]
    for path in sorted(glob.glob(os.path.join(here, "*.jinja"))):
        with open(path, newline="") as file:
            template = file.read()
        for name, _ in golden_cases.CHATS:
            cases.append({"name": os.path.basename(path) + ": " + name, "template": template, "context": name})
    result = {"contexts": contexts, "cases": [render(case, contexts) for case in cases]}
    json.dump(result, sys.stdout, indent=0, ensure_ascii=True)
    print()


main()
