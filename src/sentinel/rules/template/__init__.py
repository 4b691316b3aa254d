"""Go's text/template form as rules use it: parsed at load, evaluated with bounds on steps and output.

Nothing but the values handed in can be reached: no attributes, files or environment.
"""

from sentinel.rules.template.errors import ExpansionError, TemplateSyntaxError
from sentinel.rules.template.evaluate import Struct, Template, parse_template

__all__ = ["ExpansionError", "Struct", "Template", "TemplateSyntaxError", "parse_template"]
