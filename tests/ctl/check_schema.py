#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: check_schema.py SCHEMA FILE: every JSON value in FILE, one after the other, is as the schema says."""
import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1], encoding="utf-8"))
text = open(sys.argv[2], encoding="utf-8").read()
decoder, at, count = json.JSONDecoder(), 0, 0
while text[at:].strip():
    at += len(text[at:]) - len(text[at:].lstrip())
    value, end = decoder.raw_decode(text[at:])
    jsonschema.validate(value, schema)
    at, count = at + end, count + 1
if not count:
    sys.exit("no JSON at all")
