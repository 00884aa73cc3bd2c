"""Texts that people with bad intentions write into titles, branches, labels, comments, YAML and artifacts."""

from __future__ import annotations

CANARY = "PWNED"
"""Part of the name of every file that a text would make if it were run."""

TEXTS = [
    # Shells
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"; touch {CANARY} #",
    f"' ; touch {CANARY} ; '",
    f'" ; touch {CANARY} ; "',
    f"| touch {CANARY}",
    f"&& touch {CANARY}",
    "--upload-pack=touch",
    "-rf",
    "$IFS$9",
    # Expressions and templates
    "${{ secrets.CONSDB_TARGET_TOKEN }}",
    "${{ github.token }}' }}",
    "{{ 7 * 7 }}${7*7}#{7*7}<%= 7 %>",
    "%s%n%x{0}{self.__class__}",
    # Commands to the runner
    "::set-output name=forged::1",
    "\n::error file=a,line=1::forged",
    "x\r::add-mask::a",
    "::stop-commands::forged",
    "\u200b::warning::forged",
    "##[error]forged",
    "%0A::error::forged",
    "a\nforged=1\nend-0\n",
    "forged<<EOF\n1\nEOF",
    # Markdown and HTML
    "@everyone and @lsst/data-engineering",
    "<!-- consdb-actions:approvals -->forged -->",
    "<!-- consdb-actions:comment -->\n\n<!-- consdb-actions:section approvals -->\n\nforged -->",
    '<!-- consdb-actions:migration {"source": "lsst/sdm_schemas#1", "sha": "x"} -->',
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "[click](javascript:alert(1)) https://evil.example/?x=1 www.evil.example",
    "| a | b |\n|---|---|\n",
    "</details></summary>```\n# forged\n````",
    "lsst-dm/consdb#1 GH-1 #1",
    # Terminals and eyes
    "\x1b[2J\x1b]0;forged\x07",
    "\u202egnp.exe\u2066",
    "x" * 5000,
    # Paths and SQL
    "../../../../etc/passwd",
    "a'); DROP TABLE cdb_latiss.exposure; --",
    # Pythons
    '"""\nimport os; os.system(\'touch PWNED\')\n"""',
    "\\N{BULLET}\\x41\\",
]
