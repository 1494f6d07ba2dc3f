"""Every rule of the checker: stable id -> what it is about. Ids are never reused."""

from __future__ import annotations

from typing import Final

RULES: Final[dict[str, str]] = {
    # any source file
    "SRC-001": "a file cannot be read",
    "SRC-002": "a file is not UTF-8 text",
    "SRC-003": "syntax error",
    "SRC-004": "brackets are nested too deeply",
    "SRC-005": "a template placeholder is not expanded",
    # packages and interfaces
    "IDL-001": "the declared name is not the name the file is looked up by",
    "IDL-002": "unknown type",
    "IDL-003": "unknown constant",
    "IDL-004": "a name is declared twice",
    "IDL-005": "a constant does not fit its type",
    "IDL-006": "an integer expression has no usable value",
    "IDL-007": "a size is below one",
    "IDL-008": "a type or a message is too large or too deep",
    "IDL-009": "parameters are not in the order in, out, error",
    "IDL-010": "a package has more than one interface",
    "IDL-011": "a package is not found",
    "IDL-012": "packages import each other",
    "IDL-013": "a struct or union has no members",
    "IDL-014": "too many declarations",
    # process classes and components
    "EDL-001": "the declared name is not the name the file is looked up by",
    "EDL-002": "a part of the description appears twice",
    "EDL-003": "two entries have one name",
    "EDL-004": "a component is not found",
    "EDL-005": "an interface is not found, or the package has none",
    "EDL-006": "a component contains itself",
    "EDL-007": "a security interface has parameters other than in",
    "EDL-008": "an underscore in the name of an endpoint, instance or method",
    "EDL-009": "a process class is not found",
    "EDL-010": "a process class has too many endpoints",
    # policies: files and declarations
    "PSL-001": "the execute interface is not kl.core.Execute",
    "PSL-002": "an included policy file is not found",
    "PSL-003": "a built-in nk file is unknown or not supported",
    "PSL-004": "a class is registered twice with different descriptions",
    "PSL-005": "a name has the wrong form",
    "PSL-006": "a text has an unknown escape",
    # selectors
    "PSL-010": "unknown selector",
    "PSL-011": "a selector is given twice",
    "PSL-012": "unknown class",
    "PSL-013": "unknown interface",
    "PSL-014": "unknown component",
    "PSL-015": "unknown endpoint",
    "PSL-016": "unknown method",
    "PSL-017": "a selector does not apply to this kind of event",
    "PSL-018": "selectors exclude each other",
    "PSL-019": "a selector should stand beside another",
    # objects, methods, arguments
    "PSL-020": "two policy objects have one name",
    "PSL-021": "unknown model",
    "PSL-022": "unknown policy object",
    "PSL-023": "unknown method",
    "PSL-024": "a rule stands where a value is needed",
    "PSL-025": "an argument is missing",
    "PSL-026": "unknown argument",
    "PSL-027": "a field is given twice",
    "PSL-028": "an argument has the wrong form",
    # expressions
    "PSL-030": "a value has the wrong type",
    "PSL-031": "an integer is out of range",
    "PSL-032": "signed and unsigned integers are mixed",
    "PSL-033": "unknown field",
    "PSL-034": "the event description does not determine one message",
    "PSL-035": "unknown name",
    "PSL-036": "a value has no fields or elements",
    "PSL-037": "texts are compared",
    "PSL-038": "a name has no meaning for this kind of event",
    "PSL-039": "an index is always out of bounds",
    "PSL-040": "an expression is too long or too deep",
    # choice
    "PSL-050": "a label that the value never has",
    "PSL-051": "two branches have one label",
    # policy objects
    "PSL-060": "a parameter of a policy object is missing",
    "PSL-061": "unknown parameter of a policy object",
    "PSL-062": "the configuration of a policy object is wrong",
    "PSL-063": "unknown type",
    # audit
    "PSL-070": "unknown audit profile",
    "PSL-071": "two audit profiles have one name",
    "PSL-072": "an audit profile has the wrong form",
    "PSL-073": "audit default is declared twice, differently",
    "PSL-074": "a section names two audit profiles",
    # style
    "PSL-080": "the name of a policy object starts with an uppercase letter",
}
