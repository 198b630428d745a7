"""Bounded templates make the texts of transformers, and end."""

import time

import pytest

from trimtab.models import bounded, chat_jinja
from trimtab.models.tiny import tiny_tokenizer

TURNS = [
    {"role": "system", "content": " <b>Be</b> brief. "},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Because."},
    {"role": "user", "content": "«Is it?»"},
]

# Tags, filters and names that the templates of well-known families use.
OF_FAMILIES = {
    "llama 3": (
        "{{- bos_token }}\n{%- if messages[0]['role'] == 'system' %}\n"
        "    {%- set system = messages[0]['content']|trim %}\n"
        "    {%- set messages = messages[1:] %}\n{%- else %}\n"
        "    {%- set system = '' %}\n{%- endif %}\n"
        "{{- '<|system|>' + system + '<|end|>' }}\n{%- for message in messages %}\n"
        "    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}\n"
        "        {{- '<|' + message['role'] + '|>\\n\\n'+ message['content'] | trim + '<|end|>' }}"
        "\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
        "    {{- '<|assistant|>\\n\\n' }}\n{%- endif %}\n"
    ),
    "qwen 3": (
        "{%- set ns = namespace(last=messages|length - 1) %}"
        "{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}"
        "{%- if message.role == 'user' %}{%- set ns.last = index %}{%- break %}{%- endif %}"
        "{%- endfor %}{%- for message in messages %}"
        "{%- if loop.index0 == ns.last %}{{ '*' }}{%- endif %}"
        "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
        "{%- endfor %}{%- if tools %}{{ tools | tojson }}{%- endif %}"
    ),
    "with macros and generation": (
        "{%- macro shown(m, level=1) -%}{{ '#' * level ~ m.role|title ~ ': ' ~ m.content }}\n"
        "{%- endmacro -%}\n{% for m in messages if m.role != 'system' %}\n"
        "  {% generation %}{{ shown(m, level=2) }}{% endgeneration %}\n{% else %}none{% endfor %}\n"
        "{% set both %}{{ messages|map(attribute='role')|join(', ') }}{% endset %}{{ both|upper }}"
        "{{ messages[1:]|selectattr('role', 'equalto', 'user')|list|length }} {{ 7 // 2 }}"
        "{{ 7 % 4 }}"
        "{{ '%s of %d' % ('a', 3) }} {{ '{:>4}'.format('x') }} {{ messages[0] | tojson(indent=2) }}"
        "{{ dict(a=1).items() | list }} {{ range(3) | list }} {{ none }} {{ 2 ** 8 }}"
        "{{ tools is none }}"
    ),
}

SIXTY = "{% for i in range(60) %}"
ENDLESS = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a loop over a list": (
        "{% set r = range(99999)|list %}{% for i in r %}{% for j in r if j < 0 %}{% endfor %}"
        "{% endfor %}"
    ),
    "a macro that calls itself twice": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
        "{{ f(200) }}"
    ),
    "a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a loop that calls itself": (
        "{% for i in [messages, messages] recursive %}{{ loop([i, i]) }}{% endfor %}"
    ),
    "a long range": "{% for i in range(10 ** 12) %}{% endfor %}",
    "a long text": "{{ 'x' * 10 ** 11 }}",
    "a long text, reversed": "{{ 10 ** 11 * 'x' }}",
    "a long list": "{{ [0] * 10 ** 11 }}",
    "a high power": "{{ 10 ** (10 ** 10) }}",
    "squares": ("{% set n = namespace(x=3) %}" + SIXTY + "{% set n.x = n.x * n.x %}{% endfor %}"),
    "doubled with +": (
        "{% set n = namespace(x='x') %}" + SIXTY + "{% set n.x = n.x + n.x %}{% endfor %}"
    ),
    "doubled with ~": (
        "{% set n = namespace(x='x') %}" + SIXTY + "{% set n.x = n.x ~ n.x %}{% endfor %}"
    ),
    "doubled by a block": (
        "{% set n = namespace(x='x') %}" + SIXTY + ""
        "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}"
    ),
    "doubled by a filter": (
        "{% set n = namespace(x='x') %}" + SIXTY + ""
        "{% set n.x = n.x | replace('x', 'xx') %}{% endfor %}"
    ),
    "doubled in the open": "{% set x = 'xxxxxxxx' %}" + "{% set x = x + x %}" * 50,
    "a list within a list": (
        "{% set n = namespace(x=[]) %}" + SIXTY + "{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}"
    ),
    "the same, filtered": (
        "{% set n = namespace(x=[]) %}" + SIXTY + "{% set n.x = [n.x, n.x] %}{% endfor %}"
        "{{ n.x | tojson }}"
    ),
    "padding": "{{ 'x'.center(10 ** 11) }}",
    "padding by a filter": "{{ 'x' | center(10 ** 11) }}",
    "slices": "{{ [1] | slice(10 ** 11) | list }}",
    "a width": "{{ '%99999999999d' % 1 }}",
    "many widths": "{{ ('%999999d' * 1000) % ((1,) * 1000) }}",
    "a width in a format": "{{ '{:>9999999999}'.format(1) }}",
    "a width in a filter": "{{ '%9999999999d' | format(1) }}",
    "a width that is given": "{{ '{:>{}}'.format(1, 10 ** 7) * 9 }}",
    "what is joined": "{{ ('x' * 10 ** 6).join(['x'] * 10 ** 5) }}",
    "what is put in": "{{ ('x' * 10 ** 6).replace('', 'y' * 10 ** 6) }}",
    "what is put in by a filter": "{{ ('x' * 10 ** 6) | replace('x', 'y' * 10 ** 6) }}",
    "tabs": "{{ ('\\t' * 10 ** 6).expandtabs(10 ** 6) }}",
    "indented lines": "{{ ('x\\n' * 10 ** 6) | indent(10 ** 6) }}",
    "bytes": "{{ 'x'.encode() * 10 ** 11 }}",
    "a sum of lists": "{{ ([[0]] * 400000) | sum(start=[]) | length }}",
    "digits": "{{ 1 | round(10 ** 7, 'ceil') }}",
    "a generator, joined": "{{ range(99999) | map('center', 99999) | join | length }}",
    "a comparison of lists": (
        "{% set n = namespace(x=[], y=[]) %}" + SIXTY + "{% set n.x = [n.x, n.x] %}"
        "{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}"
    ),
    "a loop over what does not match": (
        "{% set t = 'x' * 10 ** 6 %}{% for i in range(99999) if 'y' in t %}{% endfor %}"
    ),
    "a width beside": "{{ '%*d' % (99999999999, 1) }}",
    "prose": "{{ lipsum(n=10 ** 6) }}",
    "a long source": "{{ 1 }}" * 100_000,
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "a file": "{% include '/etc/passwd' %}",
}


@pytest.mark.parametrize("name", OF_FAMILIES)
@pytest.mark.parametrize("generation", [False, True])
def test_texts_are_those_of_transformers(name: str, generation: bool) -> None:
    tokenizer = tiny_tokenizer()
    values = {"messages": TURNS, "tools": None, "documents": None}
    made = bounded.render(
        OF_FAMILIES[name],
        {**tokenizer.special_tokens_map, **values, "add_generation_prompt": generation},
    )
    assert made == tokenizer.apply_chat_template(
        TURNS,
        chat_template=OF_FAMILIES[name],
        tokenize=False,
        add_generation_prompt=generation,
    )


# Calls that take time by what they are given, harmless here.
UNUSUAL = {
    "a codec": "{{ 'é'.encode('utf-8').decode('latin-1') }}",
    "tabs": "{{ 'a\\tb'.expandtabs(4) }}",
    "a sum": "{{ [1, 2, 3] | sum }}",
    "wrapped": "{{ 'one two three' | wordwrap(5) }}",
    "a width that is given": "{{ '{:>{}}|'.format('x', 4) }}",
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_might_be_slow_is_made_in_a_process_of_its_own(name: str) -> None:
    source, values = UNUSUAL[name], {"messages": TURNS}
    with pytest.raises(bounded.MaybeSlow):
        bounded.render_here(source, values)
    wanted = tiny_tokenizer().apply_chat_template(TURNS, chat_template=source, tokenize=False)
    assert bounded.render(source, values) == wanted


def test_long_texts_are_rendered_here() -> None:
    said = "a</think>b" * 20_000
    turns = [{"role": "user", "content": said}, {"role": "assistant", "content": said}]
    source = (
        "{% for m in messages %}{{ m.content.split('</think>')[-1].strip('\\n') }}"
        "{{ m.content.replace('<think>', '') | trim | length }}{% endfor %}"
        "{{ messages | selectattr('role', 'equalto', 'user') | list | tojson(indent=4) }}"
        "{{ '1234567890: %5.1f%%, {:>5}*' % 3 }}{{ '* 123456789 {:>3}'.format(1) }}"
    )
    made = bounded.render_here(source, {"messages": turns})
    assert made == tiny_tokenizer().apply_chat_template(turns, chat_template=source, tokenize=False)


@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end_or_grows_is_stopped(name: str) -> None:
    since = time.process_time()
    with pytest.raises(bounded.FAILURES):
        bounded.render(ENDLESS[name], {"messages": TURNS})
    assert time.process_time() - since < 4  # seconds; those that go on would take hours


def test_the_date_is_fixed_and_steps_count_for_one_text_alone() -> None:
    source = "{% for i in range(99999) %}{% endfor %}{{ strftime_now('%Y') }}"
    for _ in range(12):
        assert bounded.render(source, {}) == chat_jinja.TODAY
