"""The OpenAPI document as a page that is read: made here, of the document alone, and without a script."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from flask import Response
from jinja2 import Environment, FileSystemLoader

from hook_service.web.page.common import CSP, STATIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_openapi3.openapi import OpenAPI

METHODS: Final = ("get", "put", "post", "patch", "delete")
_REF: Final = "#/components/schemas/"

Schema = dict[str, Any]


def routes(app: OpenAPI, prefix: str, document: Callable[[], Schema]) -> None:
    """Add the page. It is open, like any manual: it holds nothing of the host."""

    @cache
    def text() -> str:
        templates = Environment(
            loader=FileSystemLoader(STATIC.with_name("templates")),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return templates.get_template("docs.html").render(parts=parts(document()), prefix=prefix)

    def page() -> Response:
        answer = Response(text(), mimetype="text/html")
        answer.headers["Content-Security-Policy"] = CSP
        return answer

    app.add_url_rule(f"{prefix}/docs", "docs", page, methods=["GET"])


def scoped(document: Schema) -> Schema:
    """The document in which every operation names the scope that it needs: to look, `read` is enough."""
    for path in document["paths"].values():
        for method, operation in path.items():
            for required in operation.get("security", ()):
                if method == "get" and required.get("bearer") not in (None, ["admin"]):
                    required["bearer"] = ["read"]
    return document


def parts(document: Schema) -> list[dict[str, Any]]:
    """The operations by subject, in the document's order, as the page shows them."""
    schemas = document.get("components", {}).get("schemas", {})
    words = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    found: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = next(iter(item[method].get("tags", ())), "")
                found.setdefault(tag, []).append(_operation(method, path, item[method], schemas))
    return [{"name": name, "words": words.get(name, ""), "operations": its} for name, its in found.items()]


def _operation(method: str, path: str, operation: Schema, schemas: Schema) -> dict[str, Any]:
    security = operation.get("security") or [{}]
    return {
        "id": f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""),
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "words": operation.get("description", ""),
        "scope": next(iter(security[0].get("bearer", ())), None),
        "parameters": [
            {
                "name": each["name"],
                "in": each["in"],
                "required": each.get("required", False),
                "type": type_of(each.get("schema", {})),
                "words": each.get("description") or each.get("schema", {}).get("description", ""),
            }
            for each in operation.get("parameters", ())
        ],
        "body": _content(operation.get("requestBody", {}), schemas),
        "answers": [
            {"status": status, "words": answer.get("description", ""), "body": _content(answer, schemas)}
            for status, answer in sorted(operation["responses"].items())
            if status < "400"
        ],
        "problems": ", ".join(status for status in sorted(operation["responses"]) if status >= "400"),
    }


def _content(holder: Schema, schemas: Schema) -> dict[str, Any] | None:
    """What a body has in it; None where there is none."""
    for media, content in holder.get("content", {}).items():
        schema = content.get("schema", {})
        name = schema.get("$ref", "").removeprefix(_REF)
        model = schemas.get(name, schema)
        required = model.get("required", ())
        return {
            "media": media,
            "name": name,
            "words": model.get("description", ""),
            "fields": [
                {
                    "name": field,
                    "type": type_of(its),
                    "required": field in required,
                    "words": its.get("description", ""),
                }
                for field, its in model.get("properties", {}).items()
            ],
        }
    return None


def type_of(schema: Schema) -> str:
    """A schema in a few words: "string, at most 64 characters", "list of Token", "integer or null"."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(map(str, schema.get("enum") or [schema["const"]]))
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(type_of(each) for each in schema[several])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    said = str(schema.get("format", kind))
    limits = (("minLength", "at least {} characters"), ("maxLength", "at most {} characters"),
              ("minimum", "from {}"), ("maximum", "to {}"), ("default", "else {}"))  # fmt: skip
    told = [words.format(schema[limit]) for limit, words in limits if schema.get(limit) not in (None, "")]
    return ", ".join([said, *told])
