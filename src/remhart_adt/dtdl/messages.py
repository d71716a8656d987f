"""What each rule says to people: a sentence on what is wrong and one on what to do.

The keys are the last part of the public parser's ValidationIDs, or our own for what it has no name for. Templates are
filled with: where (the element), prop, value, limit, count, expected, other, version.
"""

from __future__ import annotations

from typing import Any, Final

from remhart_adt.dtdl.types import OFFICIAL, OWN

__all__ = ["OWN_RULES", "full_id", "render", "service_code"]

OWN_RULES: Final[dict[str, tuple[str, str]]] = {
    "commandNotRunnable": (
        "{where} is a Command; Azure Digital Twins stores it but never runs it",
        "Remove it, or keep it for other consumers of the model.",
    ),
    "extensionUnknownToAdt": (
        "{where} uses the extension {value}; Azure Digital Twins documents QuantitativeTypes only",
        "Try it on an instance before you rely on it, or remove it.",
    ),
    "inlineInterface": (
        "{where} is an Interface inside another one, which Azure Digital Twins refuses",
        "Move it to the top level and refer to it by its DTMI.",
    ),
    "invalidJson": ("the text is not JSON: {value}", "Correct the text."),
    "modelTooLarge": (
        "{where} is {count} bytes of JSON; Azure Digital Twins takes at most {limit}",
        "Shorten it or split it into several interfaces.",
    ),
    "notAnInterface": ("this JSON is no DTDL Interface and was not read", "Move it elsewhere if it is not a model."),
    "nestedTooDeep": ("JSON is nested deeper than {limit} levels", "Flatten the schema."),
    "queryWord": (
        "{where} is named {value}, which is a word of the query language of Azure Digital Twins",
        "Write it as [[{value}]] in queries, or choose another name.",
    ),
    "tooManyModels": (
        "there are {count} interfaces; an instance of Azure Digital Twins holds at most {limit}",
        "Divide them among instances, or ask for a higher limit.",
    ),
    "tooManyProblems": ("more than {limit} problems; the rest is not shown", "Correct these first."),
    "unresolved": ("nothing defines {value}", "Add the file that defines it, or correct the reference."),
    "unreadable": ("the file cannot be read: {value}", "Give a readable UTF-8 text file."),
    "sourceTooLarge": (
        "the source is larger than {limit} bytes and was not read",
        "Split it, or allow more with Options.max_bytes.",
    ),
    "versionNotForAdt": (
        "{where} is written in DTDL v{version}; Azure Digital Twins takes versions up to {limit}",
        "Write it in DTDL v3.",
    ),
}

# The code of the service's answer to what only the service asks for.
_SERVICE_CODES: Final = {
    "inlineInterface": "DTDLParserError",
    "tooManyModels": "LimitExceeded",
    "unresolved": "DTDLParserError",
    "versionNotForAdt": "ModelVersionNotSupported",
}

_RULES: Final[dict[str, tuple[str, str]]] = {
    "abstractSupplementalType": ("{where} has the abstract type {value}", "Use one of its concrete types."),
    "badDtmiOrTerm": (
        "{where}: '{value}' of '{prop}' is neither a DTMI nor a term of DTDL v{version}",
        "Use {expected}.",
    ),
    "badType": ("{where}: '{prop}' does not take {value}", "Use {expected}."),
    "conflictingSupplementalTypes": (
        "{where} has the types {value} and {other}, which both add '{added}'",
        "Keep one of them.",
    ),
    "crossPartitionReference": (
        "{where}: '{prop}' refers to {value}, which is defined inside another Interface",
        "Define it in this Interface, or refer to an Interface.",
    ),
    "disallowedContextFragment": ("the context {value} has a fragment", "Remove everything from the # on."),
    "disallowedContextVersion": (
        "the context {value} asks for a DTDL version that is not supported",
        "Use dtmi:dtdl:context;3.",
    ),
    "disallowedLocalContext": ("@context defines terms of its own", "Name published contexts only."),
    "disallowedVersionDefinition": (
        "{where} is written in DTDL v{value} inside a DTDL v{version} element",
        "Remove the inner @context or use the outer version.",
    ),
    "disallowedVersionReference": (
        "{where}: '{prop}' refers to {value}, which is written in DTDL v{other} and not for use in v{version}",
        "Use the same DTDL version or an older one.",
    ),
    "dtdlContextFollowsAffiliate": ("the DTDL context is not the first in @context", "Put {value} first."),
    "duplicateDefinition": ("{value} is defined more than once, also in {other}", "Keep one of the definitions."),
    "duplicatePropertyName": ("{where} has the property '{prop}' more than once", "Keep one."),
    "emptyContext": ("@context is empty", "Add dtmi:dtdl:context;3."),
    "excessiveCount": ("{where} has {count} elements along {prop}; at most {limit} are allowed", "Use fewer."),
    "excessiveDepthNarrow": ("{where}: the chain of '{prop}' is longer than {limit}", "Use fewer levels."),
    "excessiveDepthWide": ("{where}: schemas are nested deeper than {limit} levels", "Use fewer levels."),
    "excludedType": ("{where} leads to {value}, which is not allowed there", "{expected}"),
    "graphDisallowed": ("{where} has @graph", "Remove it."),
    "idNotString": ("@id of {where} is not a string", "Give a DTMI as text."),
    "idReference": (
        "{where}: '{prop}' has an object with nothing but @id, which defines nothing",
        "Give the identifier as a plain string.",
    ),
    "idTooLong": ("the identifier of {where} is longer than {limit} characters", "Shorten it."),
    "idTooLongForType": ("the identifier {value} of an Interface is longer than {limit} characters", "Shorten it."),
    "identifierMultipleValues": ("{where}: '{prop}' has {count} values", "Give one DTMI."),
    "identifierNotDtmi": ("{where}: '{value}' of '{prop}' is no DTMI", "Give a DTMI such as dtmi:example:Room;1."),
    "identifierNotString": ("{where}: '{prop}' is not a string", "Give a DTMI as text."),
    "identifierTooLong": ("{where}: '{prop}' is longer than {limit} characters", "Shorten it."),
    "incorrectPropertyValue": ("{where}: '{prop}' may not be {value}", "Use {expected}."),
    "inconsistentObjectValues": (
        "{where} and an element inside it are both {value}, with different values of '{prop}'",
        "Give the inner one an identifier of its own.",
    ),
    "inferredTypeDoesNotAllow": (
        "{where} has the property '{prop}', which {value}, its type by position, does not allow",
        "Remove the property or state the @type.",
    ),
    "invalidContext": ("@context is neither a string nor an array of strings", "Use dtmi:dtdl:context;3."),
    "invalidContextSpecifier": ("the context {value} is no DTMI", "Correct or remove it."),
    "invalidContextSpecifierForVersion": (
        "the context {value} is no DTMI of the form DTDL v{version} allows",
        "Give it a version number.",
    ),
    "invalidCotype": ("{where} may not have the type {value}", "Only {expected} may."),
    "invalidCotypeVersion": (
        "{where} is written in DTDL v{version}, in which the type {value} may not be used",
        "Remove the type.",
    ),
    "invalidId": (
        "'{value}' is no DTMI that a DTDL v{version} model may define",
        "Use dtmi:<segment>:<segment>;<version> with letters, digits and single underscores inside.",
    ),
    "keywordDisallowed": ("{where} has the keyword {prop}", "Remove it."),
    "missingContext": ("the top-level object has no @context", 'Add "@context": "dtmi:dtdl:context;3".'),
    "missingContextVersion": ("the context {value} has no version", "Add ;<version>."),
    "missingDtdlContext": (
        "@context does not begin with a DTDL context",
        "Put dtmi:dtdl:context;2 or dtmi:dtdl:context;3 first.",
    ),
    "missingDtmiSegPropertyValue": ("{where} has no '{prop}'", "Add one; identifiers are made of it."),
    "dtmiSegPropertyNotStringOrNumber": ("'{prop}' of {where} is not a text", "Give a name."),
    "missingLiteralProperty": ("{where} has no '{prop}'", "Add it."),
    "missingObjectProperty": ("{where} has no '{prop}'", "Add {expected}."),
    "missingRequiredId": ("{where} needs an @id", "Add a DTMI."),
    "missingSupplementalObjectProperty": ("{where} has the type {value} but no '{prop}'", "Add one of {expected}."),
    "missingTopLevelId": ("the top-level object has no @id", "Add a DTMI."),
    "multipleMaterialTypes": ("{where} has more than one DTDL type: {value}", "Keep one."),
    "nonConformantDatatype": ("{where}: {value} is not of the value schema {expected}", "Correct the value."),
    "nonDtmiContextSpecifier": ("the context {value} is no DTMI", "Correct or remove it."),
    "nonUniqueImportedPropertyValue": (
        "{where} gets two contents named '{value}', from {other}",
        "Rename one, or remove it: a name may be defined only once along extends.",
    ),
    "nonUniquePropertyValue": ("{where}: two {prop} have the {expected} '{value}'", "Make them different."),
    "noTypeThatAllows": ("{where} has the property '{prop}', which none of its types allows", "Remove it."),
    "notJsonObject": ("the top level is {value}, not an object or an array of objects", "Give a DTDL Interface."),
    "notRequiredType": ("{where} has the type {value}, which does not go with '{prop}' {other}", "Use {expected}."),
    "objectCountAboveMax": ("{where}: '{prop}' has {count} values; at most {limit} are allowed", "Remove some."),
    "objectCountBelowMin": ("{where}: '{prop}' has no usable value", "Add {expected}."),
    "objectMultipleValues": ("{where}: '{prop}' has {count} values", "Give one."),
    "partitionTooLarge": ("{where} is {count} bytes of JSON; at most {limit} are allowed", "Split it."),
    "propertyInvalidDtmi": ("{where} has the property '{prop}', which is no legal DTMI", "Remove or correct it."),
    "propertyIrrelevantDtmiOrTerm": (
        "{where} has the property '{prop}', which does not belong to its types",
        "Remove it, or add the type it belongs to.",
    ),
    "propertyNotDtmiNorTerm": ("{where} has the property '{prop}', which is neither a DTMI nor a term", "Remove it."),
    "propertyUndefinedTerm": (
        "{where} has the property '{prop}', which no context defines",
        "Correct the name, or add the context that defines it.",
    ),
    "recursiveStructureNarrow": ("{where} leads back to itself along {prop}", "Break the circle."),
    "recursiveStructureWide": ("{where} contains itself along {prop}", "Break the circle."),
    "refNotStringOrObject": ("{where}: '{prop}' is {value}", "Use {expected}."),
    "repeatedContextProperty": ("{where} has @context more than once", "Keep one."),
    "repeatedGraphProperty": ("{where} has @graph more than once", "Keep one."),
    "repeatedIdProperty": ("{where} has @id more than once", "Keep one."),
    "repeatedKeyword": ("{where} has {prop} more than once", "Keep one."),
    "repeatedLanguageProperty": ("{where} has @language more than once", "Keep one."),
    "repeatedTypeProperty": ("{where} has @type more than once", "Keep one."),
    "repeatedValueProperty": ("{where} has @value more than once", "Keep one."),
    "reservedId": (
        "the identifier {value} begins with a prefix that belongs to the language",
        "Use a name of your own.",
    ),
    "topLevelGraphDisallowed": ("the top-level object has @graph", "Give an array of Interfaces instead."),
    "topLevelKeywordDisallowed": ("{where} has the keyword {prop}", "Remove it."),
    "termDefinitionIdPropertyNotString": (
        "@context defines a term by an @id that is no text",
        "Name published contexts only.",
    ),
    "termDefinitionMissingIdProperty": (
        "@context defines a term by an object without @id",
        "Name published contexts only.",
    ),
    "termDefinitionNotStringOrObject": (
        "@context defines a term by something else than text",
        "Name published contexts only.",
    ),
    "typeInvalidDtmi": ("{where} has the type '{value}', which is no legal DTMI", "Correct or remove it."),
    "typeIrrelevantDtmiOrTerm": ("{where} has '{value}' in @type, which is no type for it", "Remove it."),
    "typeNotDtmiNorTerm": ("{where} has the type '{value}', which is neither a DTMI nor a term", "Remove it."),
    "typeNotRootable": ("the top-level object is not an Interface", "Use @type Interface."),
    "typeUndefinedTerm": (
        "{where} has the type '{value}', which no context defines",
        "Correct the name, or add the context that defines it.",
    ),
    "undefinedReservedId": ("{where}: '{prop}' refers to {value}, which the language does not define", "Correct it."),
    "unrecognizedContextVersion": (
        "there is no DTDL context {value}",
        "Use dtmi:dtdl:context;2 or dtmi:dtdl:context;3.",
    ),
    "unresolvableContextSpecifier": ("the context {value} is not known", "Correct or remove it."),
    "unresolvableContextVersion": ("the context {value} is not known in this version", "Use {expected}."),
    "valueAboveRange": ("{where}: '{prop}' is {value}; at most {limit} is allowed", "Lower it."),
    "valueBelowMin": ("{where}: '{prop}' is {value}; at least {limit} is needed", "Raise it."),
    "valueBelowRange": ("{where}: '{prop}' is {value}; at least {limit} is needed", "Raise it."),
    "valueNotExact": ("{where}: '{prop}' is {value}; only {limit} is allowed", "Use {limit} or remove it."),
    "stringInvalid": (
        "{where}: '{value}' of '{prop}' is not a name",
        "Use letters, digits and underscores; begin with a letter and do not end with an underscore.",
    ),
    "stringTooLong": ("{where}: '{prop}' is longer than {limit} characters", "Shorten it."),
    "langStringValueTooLong": ("{where}: '{prop}' is longer than {limit} characters", "Shorten it."),
    "disallowedCocotype": ("{where} has the types {value} and {other}, which exclude each other", "Keep one of them."),
    "disallowedLimitContext": (
        "the limits {value} are not accepted here",
        "Use {expected}, or accept them with Options.limit_contexts.",
    ),
    "disallowedType": ("{where}: '{prop}' names {value}, which has the type {other}", "Name a sibling without it."),
    "durationInvalid": ("{where}: '{prop}' is no ISO 8601 duration", "Write it as in PT1H30M."),
    "idRefBadDtmiOrTerm": ("{where}: '{value}' is neither a DTMI nor a term", "Use {expected}."),
    "identifierCountBelowMin": ("{where}: '{prop}' has no value", "Give the DTMI or the word of a property."),
    "identifierNotUri": ("{where}: '{value}' of '{prop}' is neither a word of the context nor an IRI", "Correct it."),
    "invalidContextFragment": ("the context {value} has a fragment that means nothing", "Use #limitless or nothing."),
    "langMapObjKeyword": (
        "{where}: '{prop}' has a keyword among its language codes",
        'Use language codes only, as in {{"en": "text"}}.',
    ),
    "langStringCodeNotUnique": ("{where}: '{prop}' has the same language twice", "Keep one text per language."),
    "langStringElementCodeNotString": ("{where}: '{prop}' has an @language that is no text", "Give a language code."),
    "langStringElementCodeNotUnique": ("{where}: '{prop}' has the same language twice", "Keep one text per language."),
    "langStringElementInvalidCode": (
        "{where}: '{prop}' has an @language that is no code",
        "Write it as in en or pt-BR.",
    ),
    "langStringElementInvalidProp": (
        "{where}: '{prop}' has a text with a member that is no keyword",
        "Keep only @language and @value.",
    ),
    "langStringElementKeyword": (
        "{where}: '{prop}' has a text with an unknown keyword",
        "Keep only @language and @value.",
    ),
    "langStringElementNoValue": ("{where}: '{prop}' has a text without @value", "Add @value."),
    "langStringElementNotStringOrObject": ("{where}: '{prop}' is not {expected}", "Give a text."),
    "langStringElementType": ("{where}: '{prop}' has a text with @type", "Remove @type."),
    "langStringElementValueNotString": ("{where}: '{prop}' has an @value that is no text", "Give a text."),
    "langStringInvalidCode": ("{where}: '{prop}' has a key that is no language code", "Write it as in en or pt-BR."),
    "langStringValueNotString": (
        "{where}: '{prop}' has a language whose value is no text",
        "Give one text per language.",
    ),
    "langTagValueInLangMap": (
        "{where}: '{prop}' is a tagged text where a map of languages is wanted",
        'Put it in an array, or write it as {{"en": "text"}}.',
    ),
    "literalTypeNotSingular": (
        "{where}: '{prop}' has a value with not exactly one @type",
        "Give one, such as xsd:string.",
    ),
    "localContextNotLast": ("@context defines terms of its own before its end", "Name published contexts only."),
    "matchingPropertyNotSupplemental": (
        "{where}: '{prop}' is {value}, which {other} has by its DTDL type; only what a type adds can be overridden",
        "Name a property that an extension adds, such as unit.",
    ),
    "misplacedLimitContext": (
        "the limits {value} stand where none are expected",
        "Put them right behind dtmi:dtdl:context;4#limitless.",
    ),
    "missingCocotype": ("{where} has the type {value} without {other}, which it needs", "Add {other} to @type."),
    "missingDictKeyPropertyValue": (
        "{where}: what is defined under '{prop}' has the identifier {value} of an element around it",
        "Give it an identifier of its own.",
    ),
    "missingLimitContext": (
        "the context {value} is not followed by the limits it asks for",
        "Name a limit context right behind it, or remove #limitless.",
    ),
    "multipleReference": ("{where} overrides {value} of {other}, as another element does", "Keep one of them."),
    "noMatchingSupplementalProperty": (
        "{where}: '{prop}' is {value}, which no type of {other} adds",
        "Name a property that one of its types adds.",
    ),
    "nonConformantPropertyValue": ("{where}: '{prop}' is {value}, which is no {expected}", "Give one."),
    "notRequiredValue": ("{where} has the type {value}, which does not go with '{prop}' {other}", "Use {expected}."),
    "notSiblingRequiredType": ("{where}: '{prop}' names {value}", "Name {expected}."),
    "parentMissingCotype": (
        "{where} has the type {value} but stands in {other}, which lacks {expected}",
        "Add it there.",
    ),
    "refObjectNotAllowed": ("{where}: '{prop}' is defined in place", "Name {expected}."),
    "siblingDuplicatesCotype": (
        "{where} has the type {value}, and so has another field of {other}",
        "Keep one of them.",
    ),
    "siblingMissingCotype": ("{where} has the type {value}, and no field beside it has {expected}", "Add one."),
    "siblingPropertyMismatch": (
        "{where}: the schema is {value}, but the property that it overrides takes {expected}",
        "Use {expected}.",
    ),
    "valueAboveMax": ("{where}: '{prop}' is {value}; at most {limit} is allowed", "Lower it."),
    "wrongParent": ("{where} has the type {value}, which is not measured in {other}", "Use one of {expected}."),
}
# Rules on how a literal may be written come in families; one sentence serves each family.
_LITERAL: Final = ("{where}: '{prop}' is not written as the language wants it ({rule})", "Write it as {expected}.")


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def full_id(rule: str) -> str:
    """The full id of a rule: the official parser's ValidationID, or our own."""
    return (OWN if rule in OWN_RULES else OFFICIAL) + rule


def service_code(rule: str) -> str:
    """What Azure Digital Twins answers an upload with that breaks the rule; empty for rules that it does not check."""
    if rule in OWN_RULES:
        return _SERVICE_CODES.get(rule, "")
    return "DTDLParserError"


def render(rule: str, fields: dict[str, Any]) -> tuple[str, str]:
    """Message and remedy of a rule, filled in. Long values are cut: they come from outside."""
    message, remedy = OWN_RULES.get(rule) or _RULES.get(rule) or _LITERAL
    shown = _Blank({key: _short(value) for key, value in fields.items()}, rule=rule)
    return _sentence(message.format_map(shown)), _sentence(remedy.format_map(shown))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 240 else text[:237] + "..."


def _sentence(text: str) -> str:
    text = text.strip()
    # A DTMI in front stays as it is.
    first = text[:1] if text.startswith("dtmi:") else text[:1].upper()
    return first + text[1:] + ("" if not text or text.endswith((".", "!")) else ".")
