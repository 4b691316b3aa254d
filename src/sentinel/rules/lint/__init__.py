"""What is allowed in a rule file and bites later."""

from sentinel.rules.lint.files import lint_rules
from sentinel.rules.lint.finding import CHECKS, Finding
from sentinel.rules.lint.known import Known

__all__ = ["CHECKS", "Finding", "Known", "lint_rules"]
