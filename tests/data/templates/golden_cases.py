# SPDX-License-Identifier: Apache-2.0
"""What make_golden.py renders: short templates, and the chats that every .jinja file is rendered with."""

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Get the weather <now> & \"here\"",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "The city, e.g. Zürich"},
            "unit": {"type": "string", "enum": ["c", "f"]}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "Time", "parameters": {"type": "object", "properties": {}}}},
]

USER = {"role": "user", "content": "  What is grep?\n"}
ANSWER = {"role": "assistant", "content": " It finds patterns. "}
SYSTEM = {"role": "system", "content": "Be brief."}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "abcdefghi", "type": "function",
     "function": {"name": "get_weather", "arguments": {"city": "Köln", "unit": "c", "n": 3, "deep": [1, 2.5, None, True]}}}]}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdefghi", "content": "{\"t\": 21}"}


def chat(*messages, **more):
    return {"messages": list(messages), **TOKENS, **more}


CHATS = [
    ("user", chat(USER)),
    ("prompt", chat(USER, add_generation_prompt=True)),
    ("system", chat(SYSTEM, USER, add_generation_prompt=True)),
    ("turns", chat(USER, ANSWER, USER, ANSWER)),
    ("system turns prompt", chat(SYSTEM, USER, ANSWER, {"role": "user", "content": "Thanks 🙂 <b>&'\""},
                                 add_generation_prompt=True)),
    ("tools", chat(SYSTEM, USER, tools=TOOLS, add_generation_prompt=True)),
    ("tool call", chat(USER, CALL, RESULT, {"role": "assistant", "content": "21 degrees."}, tools=TOOLS)),
    ("thinking", chat(USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes"}, USER,
                      add_generation_prompt=True)),
    ("no bos", {"messages": [USER, ANSWER], "eos_token": "</s>"}),
    ("wrong order", chat(ANSWER, USER)),
    ("empty", chat()),
]

SNIPPET_CONTEXT = {
    "messages": [SYSTEM, USER, ANSWER, {"role": "user", "content": "zwei"}],
    "bos_token": "<s>", "eos_token": "</s>",
    "a": 7, "b": -3, "f": 2.5, "big": 123456789012, "s": "Hello World", "u": "Grüße, Köln! Ünïcödé ßtraße ΑΒΓ αβγ 日本語 🙂",
    "blank": "  \t x y \n ", "empty": "", "none_value": None, "yes": True, "no": False,
    "l": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3, [4, 5]]],
    "d": {"x": 1, "y": {"z": [10, 20]}, "key with space": "v", "items": "shadow"},
    "people": [{"name": "Bo", "age": 30, "tags": ["p", "q"]}, {"name": "al", "age": 25}, {"name": "Cy", "age": 30, "city": "X"}],
    "quotes": "it's \"q\" \\ \n\t\x01é", "html": "<a href='x'>T&C</a>",
}

_EXPRESSIONS = """
1 + 2
7 // 2
-7 // 2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
1.0 % -1
7 / 2
8 / 2
2 ** 10
2 ** -1
2 ** 0.5
-2 ** 2
2 ** 3 ** 2
1 - 2 - 3
2 + 3 * 4
(2 + 3) * 4
10 - 2 ~ 3
'a' ~ 1 + 2
1 ~ 2 ~ none ~ true ~ 1.0
0.1 + 0.2
1e3
1e16
1e15
123456789.125
1e-4
1e-5
1.5e300 * 10
3.0
100000000000000000000.0
1/3
2/3
1_000 + 1
0x1f
0b101
0o17
1 == 1.0
1 == true
'1' == 1
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
'a' < 'b'
'B' < 'a'
[1,2] < [1,3]
(1,2) == (1,2)
[1] == (1,)
{'a': 1} == {'a': 1.0}
none == none
none == false
1 in [1,2]
3 not in [1,2]
'ell' in 'hello'
'x' in {'x': 1}
'y' not in {'x': 1}
not true
not 0
not not 'x'
true and 'x'
0 or 'y'
'' or none
1 and 0 or 5
true and not false
1 if true else 2
1 if false else 2
'x' if false
(1 if no else 2 if no else 3)
a + b * 2
-a
+a
- -a
f * 2
a / f
s
s[0]
s[-1]
s[1:4]
s[:3]
s[-3:]
s[::-1]
s[::2]
s[8:2:-2]
s[100:]
s[:-100]
s[5]
u[::-1]
u[2]
u[2:5]
u|length
u|upper
u|lower
u|title
u|capitalize
u.title()
l[0]
l[-1]
l[1:]
l[::-1]
l[9]
l[9] is defined
l + [4]
l * 2
[0] * 3
'ab' * 3
3 * 'ab'
'ab' * -1
(1, 2) + (3,)
[1, 'a', "it's", none, true, 1.5, [2], {'k': (1,)}, ()]
{'a': 1, 'b': [1, 2], 3: 'x', none: 4, true: 5}
(1,)
()
[]
{}
d
d.x
d['x']
d.y.z[1]
d.missing
d.missing is defined
d['key with space']
d.items() | list
d['items']
d.keys()
d.values() | list
d.get('x')
d.get('q')
d.get('q', 5)
d | length
d | list
people[0].name
people.0.name
people[0]['tags'][1]
people[1].tags is defined
messages[0]['role']
messages[-1].content
messages[1:] | length
messages | length
messages[0]
missing
missing is defined
missing is undefined
missing == missing
missing ~ 'x'
missing | length
missing | list
missing | default('d')
missing | d('e')
'' | default('d')
'' | default('d', true)
none | default('d')
none | default('d', boolean=true)
missing.foo
missing['foo']
missing + 1
missing()
'a' + 1
1 + 'a'
[1] + (2,)
'a' - 'b'
1 < 'a'
none < 1
1 / 0
1 % 0
1 // 0
l.foo
l.foo.bar
none.x
5[0]
none_value[1:2]
d[[1]]
'%s-%d' % ('a', 5)
'%s' % 'x'
'%5.2f|%-5s|%05d|%x|%%' % (3.14159, 'ab', 42, 255)
'%r' % 'a'
'%d' % 'a'
'%s %s' % ('a',)
'{} {}'.format(1, 'b')
'{0}{1}{0}'.format('a', 'b')
'{x} {y}'.format(x=1, y='z')
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:05d} {:.2f} {:,} {:x} {:+d} {:%}'.format(42, 3.14159, 1234567, 255, 5, 0.25)
'{{}} {!r}'.format('x')
'{'.format()
s.upper()
s.lower()
s.title()
s.capitalize()
s.replace('l', 'L')
s.replace('l', 'L', 1)
s.replace('', '-')
s.find('o')
s.find('o', 5)
s.rfind('o')
s.find('zz')
('ab' * 3000 + 'needle' + 'ab' * 3000).find('needle')
('ab' * 3000 + 'x' * 1022 + 'needle').count('needle')
('ab' * 2000).count('bab')
(('x' * 1021 + 'abc') * 4).split('abc') | map('length') | list
u.find('Köln')
s.index('W')
s.index('zz')
s.count('l')
s.count('')
s.startswith('He')
s.startswith(('x', 'He'))
s.endswith('ld')
s.split()
s.split('o')
s.split('o', 1)
s.rsplit('o', 1)
s.rsplit('o')
s.split('')
blank.split()
blank.split(none, 1)
blank.rsplit(none, 1)
' a  b c '.split(' ')
'a,b,c'.rsplit(',', 1)[0]
'a</think>b'.split('</think>')[-1]
blank.strip()
blank.lstrip()
blank.rstrip()
'xxhixx'.strip('x')
'xyhiyx'.strip('xy')
'xxhi'.lstrip('x')
'hixx'.rstrip('x')
'\\n\\nhi\\n'.strip('\\n')
'a\\nb\\r\\nc\\n'.splitlines()
'a\\nb\\n'.splitlines(true)
','.join(['a', 'b'])
','.join([1])
','.join('abc')
'abc'.removeprefix('a')
'abc'.removesuffix('c')
'a-b-c'.partition('-')
'a-b-c'.rpartition('-')
'abc'.isdigit()
'123'.isdigit()
''.isdigit()
'ABC'.isupper()
'aBC'.isupper()
'abc1'.islower()
' \\t'.isspace()
s | upper
s | lower
'hello WORLD' | capitalize
'hello wORLD-foo (bar) it''s' | title
blank | trim
'xxaxx' | trim('x')
s | length
s | count
s | replace('World', 'Moon')
s | replace('l', '', 2)
s | reverse
l | reverse | list
s | list
s | first
s | last
l | first
l | last
[] | first
[] | first is defined
l | join
l | join(', ')
people | join(', ', attribute='name')
l | sort
l | sort(reverse=true)
words | sort
words | sort(case_sensitive=true)
words | unique | list
words | unique(case_sensitive=true) | list
people | sort(attribute='age') | map(attribute='name') | list
people | sort(attribute='age,name') | map(attribute='name') | join(' ')
people | sort(attribute='age', reverse=true) | map(attribute='name') | join(' ')
people | map(attribute='name') | list
people | map(attribute='city', default='-') | list
people | map(attribute='tags.0') | list
words | map('upper') | list
words | map('replace', 'p', 'P') | join(' ')
l | map('string') | list
people | selectattr('age', 'equalto', 30) | map(attribute='name') | list
people | selectattr('age', '>', 26) | list | length
people | selectattr('city') | map(attribute='name') | list
people | selectattr('city', 'defined') | list | length
people | rejectattr('city', 'defined') | map(attribute='name') | list
messages | selectattr('role', 'equalto', 'user') | list | length
messages | selectattr('role', '==', 'system') | first
messages | rejectattr('role', 'in', ['system', 'user']) | map(attribute='content') | first
l | select('odd') | list
l | reject('odd') | list
l | select('greaterthan', 1) | list
[0, 1, '', 'a', none] | select | list
[0, 1, '', 'a', none] | reject | list
l | sum
people | sum(attribute='age')
l | max
l | min
words | max
words | min
[] | max
l | batch(2) | list
[1,2,3] | batch(2, 'x') | list
d | dictsort | map('first') | list
{'b': 1, 'A': 2, 'c': 0} | dictsort
{'b': 1, 'A': 2, 'c': 0} | dictsort(true)
{'b': 1, 'A': 2, 'c': 0} | dictsort(by='value')
{'b': 1, 'A': 2} | dictsort(reverse=true)
{'a': 1} | items | list
missing | items | list
'42' | int
'42.9' | int
'x' | int
'x' | int(5)
'ff' | int(0, 16)
'0x1f' | int(base=16)
3.99 | int
-3.99 | int
true | int
none | int
none | int('n')
' 12 ' | int
'1_000' | int
'1.5' | float
'x' | float
'x' | float(2.5)
'inf' | float
'nan' | float
3 | float
-5 | abs
-5.5 | abs
42.55 | round
42.55 | round(1)
42.54 | round(1, 'ceil')
42.59 | round(1, 'floor')
0.5 | round
1.5 | round
2.5 | round
42 | round
2.675 | round(2)
1234 | round(-2)
1250.0 | round(-2)
5 | string
[1, 'a'] | string
5 | string | length
html | escape
html | e
html | safe
quotes
quotes | tojson
[quotes]
[u]
['a"b', "a'b", 'a\\'b"c']
u | tojson
u | tojson(ensure_ascii=true)
d | tojson
d | tojson(indent=2)
nested | tojson(indent=4)
[] | tojson(indent=2)
{} | tojson(indent=2)
[[], {}] | tojson(indent=2)
{'a': 1.0, 'b': 1e20, 'c': none, 'd': true, 1: 2, none: 3, true: 4} | tojson
{'b': 1, 'a': 2} | tojson(sort_keys=true)
[1, 2] | tojson(separators=(',', ':'))
{'a': [1]} | tojson(separators=(',', ':'))
(1, 2) | tojson
missing | tojson
'x\\u007fy' | tojson
'a\\nb\\n\\nc' | indent
'a\\nb\\n\\nc' | indent(2, true)
'a\\nb\\n\\nc' | indent(2, blank=true)
'a\\nb' | indent('> ')
'%s=%s' | format('a', 1)
none | map('upper') | list
none_value[1:]
d[1:]
'a' % [1]
5 | safe | length
5 | indent
missing | dictsort
1 is odd
2 is odd
2 is even
9 is divisibleby 3
9 is divisibleby(2)
1 is number
1.0 is number
true is number
'1' is number
1 is integer
true is integer
1.0 is float
true is boolean
1 is boolean
true is true
1 is true
false is false
none is none
0 is none
'a' is string
1 is string
{} is mapping
[] is mapping
[] is sequence
(1,) is sequence
'a' is sequence
{} is sequence
5 is sequence
[] is iterable
'' is iterable
5 is iterable
d.keys() is iterable
d.keys() is sequence
missing is iterable
missing is sequence
1 is eq 1
1 is equalto 2
1 is ne 2
1 is lt 2
1 is ge 2
1 is sameas 1
none is sameas none
1 is in [1, 2]
3 is not in [1, 2]
'a' is in 'abc'
'abc' is lower
'ABC' is upper
s is not defined
s is defined and s is string
not s is defined
range is callable
s is callable
'upper' is filter
'nope' is filter
'odd' is test
range(5) | list
range(2, 5) | list
range(10, 0, -3) | list
range(0)
range(3)
range(3)[1]
range(3) | length
range(200000)
range(0, 5, 0)
dict(a=1, b=2)
dict({'a': 1}, b=2)
namespace(a=1).a
namespace(a=1)
strftime_now('%Y-%m-%d %H:%M')
strftime_now('%d %b %Y')
raise_exception('bad')
'a' 'b' "c"
'\\x41\\u20ac\\U0001F600\\101\\e\\\\'
"tab\\there"
l.append(4)
d.update({'q': 1})
l.index(2)
l.count(1)
(1, 2, 1).count(1)
d.x.y.z
s.nope
s.nope()
true + true
true * 3
'a' * true
[1, 2, 3][true]
none ~ ''
{'a': {'b': 1}}.a.b
[[1, 2], [3]][0][1]
(l | length) > 2 and (s | length) < 100
s == 'Hello World' and a is number or false
a if a > 5 else b
(a, b)
a, b
1,
[x for x in l]
nosuch(1)
s | nosuch
1 if true else s | list.nosuch
s is nosuch
1 +
(1
[1, 2
'abc
{'a' 1}
a b
@
9223372036854775807
0.1 * 3
100 * 1.1
1e22
5e-324
1.7976931348623157e308
4.35 * 100
-0.0
not none and true
[1, 2] | join('-') | upper
messages | map(attribute='role') | unique | join(',')
messages[0].content | trim + 'x'
messages | length - 1
(messages | length) - 1
-1 | abs
2 * -1
s|upper|lower|title
s|replace('o','0')|replace('l','1')
"a" in s|lower
s[:5]|upper ~ s[5:]
""" 

SNIPPETS = [("expression: " + e, "{{ " + e + " }}") for e in _EXPRESSIONS.strip("\n").split("\n")]

_BLOCKS = [
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "a\n  {% if true %}\n  b\n  {% endif %}\nc",
    "  {% if true %}x{% endif %}  {% if true %}y{% endif %}\n",
    "a   {%- if true -%}   b   {%- endif -%}   c",
    "a {%+ if true +%} b\n{%+ endif +%}\nc",
    "   {%+ if true %}x{% endif %}",
    "a\n{% if true +%}\nb{% endif %}",
    "a {# comment #} b\n{# own line #}\nc\n   {# indented #}\nd",
    "a {#- trim -#} b",
    "x {{- ' y ' -}} z",
    "x\n  {{ 'y' }}\n  z\n",
    "x\n\n{{ 'y' }}\n\n",
    "trailing\n\n",
    "crlf\r\n{% if true %}\r\nx\r\n{% endif %}\r\ny\r\n",
    "{% raw %}{{ x }} {% if %}{% endraw %}!",
    "a\n  {%- raw -%}  {{ y }}  {%- endraw -%}  b",
    "{% raw %}\n a \n{% endraw %}\nb",
    "{{ '}}' }} {{ {'a': {'b': 1}} }}",
    "{{ '{%' }}{{ \"%}\" }}",
    "{% for x in l %}{{ x }}{% endfor %}",
    "{% for x in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.length }} {% endfor %}",
    "{% for x in [] %}a{% else %}none{% endfor %}",
    "{% for x in l if x > 9 %}a{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | dictsort %}{{ k }};{% endfor %}",
    "{% for k in d %}{{ k }};{% endfor %}",
    "{% for (a, (b, c)) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for c in 'häß' %}{{ c }}.{% endfor %}",
    "{% for x in missing %}a{% else %}e{% endfor %}",
    "{% for x in none %}a{% endfor %}",
    "{% for x in 5 %}a{% endfor %}",
    "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}",
    "{% for x in range(3) %}{% for y in range(2) %}{{ loop.index }}{{ x }}{{ y }} {% endfor %}{{ loop.index }}|{% endfor %}",
    "{% for x in range(3) %}{{ loop.depth }}{% for y in range(2) %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}{% endfor %}",
    "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in range(3) %}{% for y in range(5) %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% set x = 0 %}{% for i in [1, 2] %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=0) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(s='') %}{% for i in ['a', 'b', 'c'] %}{% set ns.s = ns.s + i %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(4) %}{% set ns.l = ns.l + [i * 'x'] %}{% endfor %}{{ ns.l }}",
    "{% set ns = namespace() %}{% set ns.new = 1 %}{{ ns.new }}{{ ns.missing is defined }}",
    "{% set d.x = 5 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = [1] %}",
    "{% set t = 1, 2 %}{{ t }}",
    "{% set x %}block {{ a }} text{% endset %}[{{ x }}]",
    "{% set x | upper | trim %}  block {% endset %}[{{ x }}]",
    "{% if a > 5 %}big{% elif a > 3 %}mid{% else %}small{% endif %}",
    "{% if b > 5 %}big{% elif b > -5 %}mid{% else %}small{% endif %}",
    "{% if no %}a{% elif no %}b{% elif no %}c{% else %}d{% endif %}",
    "{% if yes %}{% set q = 1 %}{% endif %}{{ q }}",
    "{% if missing %}a{% else %}b{% endif %}",
    "{% if messages | selectattr('role', 'equalto', 'nobody') %}gen{% endif %}",
    "{% if messages | selectattr('role', 'equalto', 'nobody') | list %}gen{% else %}no{% endif %}",
    "{% macro m(x, y=2) %}[{{ x }},{{ y }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(y=5, x=4) }}{{ m() }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(z=2) }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1, x=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m() %}{{ late }}{% endmacro %}{% set late = 1 %}{{ m() }}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro w() %}<{{ caller() }}>{% endmacro %}{% call w() %}in{{ a }}{% endcall %}",
    "{% macro w() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(x, y) w() %}{{ x }}-{{ y }}{% endcall %}",
    "{% macro m(x) -%}\n  {{ x }}\n{%- endmacro %}[{{ m('a') | upper }}]{{ m.name }}",
    "{% macro render(v) %}{% if v is mapping %}{% for k, x in v | items %}{{ k }}:{{ render(x) }};{% endfor %}{% elif v is iterable and v is not string %}{% for x in v %}{{ render(x) }},{% endfor %}{% else %}{{ v }}{% endif %}{% endmacro %}{{ render(d) }}",
    "{% filter upper %}abc {{ s }}{% endfilter %}",
    "{% filter replace('a', 'b') | trim %} aXa {% endfilter %}",
    "{% with x = 1, y = 2 %}{{ x }}{{ y }}{% endwith %}{{ x }}",
    "{% with %}{% set a = 99 %}{{ a }}{% endwith %}{{ a }}",
    "{% generation %}gen {{ a }}{% endgeneration %}!",
    "{% if true %}",
    "{% for x in l %}",
    "{% endif %}",
    "{% if %}{% endif %}",
    "{% nosuch %}",
    "{% set %}",
    "{% set 5 = 1 %}",
    "{% break %}",
    "{{ }}",
    "{{ a",
    "{% if a",
    "{# never closed",
    "{% raw %}never closed",
    "{{ a }} }} %} {",
    "{ {% if true %}{{% endif %}",
    "{{ messages[0]['content'] | trim ~ '\\n' }}",
    "{%- for message in messages -%}\n  {{- message.role + ': ' + message.content | trim }}\n{% endfor -%}\n",
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}odd{% else %}ok{% endif %}{% endfor %}",
    "{% for m in messages[::-1] %}{{ m.role[0] }}{% endfor %}",
    "{% for i in range(messages | length - 1, -1, -1) %}{{ messages[i].role[0] }}{% endfor %}",
    "{{ [1, 2, 3] | map('string') | join('+') }} {{ 'x' if l else 'y' }}",
    "{{ caller }}{{ loop }}",
    "{% for x in l %}{{ loop }}{% endfor %}",
    "{% set loop = 1 %}{{ loop }}",
    "{% if 'a' is in ['a'] and s is string %}1{% endif %}",
    "{% if s is defined and not s is none %}1{% endif %}",
    "{{ 'a' if s is defined else 'b' }}",
    "{%if a%}1{%endif%}{%-if a-%} 2 {%-endif-%} 3",
    "{{a}}{{-a-}} {{+a}}",
]
SNIPPETS += [("block: " + b, b) for b in _BLOCKS]
