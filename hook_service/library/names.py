"""The files of a prepared loop."""

BODY = "body.flv"
ENTRY = "entry.flv"
INDEX = "index.json"
PLAN = "plan.json"
PARTIAL = ".partial"
