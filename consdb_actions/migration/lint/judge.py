"""Apply all rules to a revision, with the configured severities and the file's acknowledgements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from consdb_actions.migration.lint.acknowledgements import acknowledgements
from consdb_actions.migration.lint.finding import Finding, Hit, Severity
from consdb_actions.migration.lint.rules import MODULES, RULES
from consdb_actions.migration.lint.rules import acknowledgement as acknowledgement_rule
from consdb_actions.migration.lint.script import Script

__all__ = ["judge"]


def judge(script: Script, source: str, severities: Mapping[str, Severity]) -> tuple[Finding, ...]:
    """Return what the rules find in a revision, in the order of its lines.

    Parameters
    ----------
    script
        The revision.
    source
        Text of its file, for acknowledgements.
    severities
        Rules whose severity is not their default.

    Returns
    -------
    tuple
        The findings, those that are acknowledged included.
    """
    comments = acknowledgements(source)
    effective = dict.fromkeys(comments, False)
    findings: list[Finding] = []
    for module in MODULES:
        severity = severities.get(module.RULE.id, module.RULE.severity)
        if severity == "off":
            continue
        for hit in module.check(script):
            finding = Finding(module.RULE.id, severity, script.file, script.section, script.revision, hit)
            for comment in comments:
                if comment.rule == module.RULE.id and comment.first <= hit.line <= comment.last:
                    if comment.reason:
                        finding = replace(finding, acknowledged=comment.reason)
                    effective[comment] = True
            findings.append(finding)
    rule = acknowledgement_rule.RULE
    severity = severities.get(rule.id, rule.severity)
    if severity != "off":
        for comment, used in effective.items():
            words = acknowledgement_rule.fault(comment, used=used, known={r.id for r in RULES})
            if words:
                hit = Hit(comment.line, words)
                findings.append(Finding(rule.id, severity, script.file, script.section, script.revision, hit))
    order = {r.id: position for position, r in enumerate(RULES)}
    return tuple(sorted(findings, key=lambda f: (f.hit.line, order[f.rule], f.hit.words)))
