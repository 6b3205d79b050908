#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/dbus-NAME.md from config/org.qvf.Fabric1.NAME.xml: the comment before a thing describes it.
With --check it writes nothing, and fails where a page is not as it would be written."""
import pathlib
import sys
import xml.etree.ElementTree as tree

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = ["Manager", "Device", "Model", "Adapter", "Job", "Session"]
CHANGES = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def text_of(comment):
    return "\n".join(line.strip() for line in (comment or "").strip().splitlines()).replace("&#45;", "-")


def arguments(element, direction):
    found = [a for a in element.findall("arg") if direction is None or a.get("direction") == direction]
    return ", ".join(f"`{a.get('name')}` {a.get('type')}" for a in found) or "nothing"


def page(name):
    parser = tree.XMLParser(target=tree.TreeBuilder(insert_comments=True))
    root = tree.parse(ROOT / f"config/org.qvf.Fabric1.{name}.xml", parser).getroot()
    interface = root.find("interface")
    head = [c for c in root if c.tag is tree.Comment]
    out = [f"# org.qvf.Fabric1.{name}", "", f"Made by tools/make-dbus-docs.py from config/org.qvf.Fabric1.{name}.xml.", "", text_of(head[0].text), ""]
    sections = {"method": [], "signal": [], "property": []}
    comment = ""
    for element in interface:
        if element.tag is tree.Comment:
            comment = text_of(element.text)
            continue
        note = next((a.get("value") for a in element.findall("annotation") if a.get("name") == CHANGES), "true")
        if element.tag == "method":
            title = f"### {element.get('name')}\n{arguments(element, 'in')} → {arguments(element, 'out')}\n"
            sections["method"].append(title + (f"\n{comment}\n" if comment else ""))
        elif element.tag == "signal":
            sections["signal"].append(f"### {element.get('name')}\n{arguments(element, None)}\n" + (f"\n{comment}\n" if comment else ""))
        else:
            how = {"const": "never changes", "false": "changes silently"}.get(note, "")
            row = [f"`{element.get('name')}`", element.get("type"), " ".join(comment.split()), how]
            sections["property"].append("| " + " | ".join(row) + " |")
        comment = ""
    for kind, heading in (("method", "Methods"), ("signal", "Signals")):
        if sections[kind]:
            out += [f"## {heading}", ""] + sections[kind]
    out += ["## Properties", "", "| name | type | | |", "|---|---|---|---|"] + sections["property"]
    return "\n".join(out).rstrip() + "\n"


def main():
    stale = []
    for name in NAMES:
        path = ROOT / f"docs/dbus-{name.lower()}.md"
        text = page(name)
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.write_text(text)
    for path in stale:
        print(f"{path}: not as tools/make-dbus-docs.py would write it")
    return 1 if stale else 0


sys.exit(main())
